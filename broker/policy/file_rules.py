"""Pure: what of a file transfer is allowed: the two directions of the permit, and the protected paths of its rules.

A path that a command rule protects (`trees`, `paths`), whatever program the rule names, is not removed, replaced,
renamed or changed by file transfer either. New files and folders may be made inside a protected tree. A rule that says
`hold` refuses here: a transfer cannot wait for a person.
"""

import posixpath
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broker.policy.command_rules import CommandAction, CommandRules

FILE_UPLOAD: Final = "file_upload"
FILE_DOWNLOAD: Final = "file_download"
FILE_CHANNELS: Final = frozenset({FILE_UPLOAD, FILE_DOWNLOAD})


class FileAction(StrEnum):
    """What a file request does to its path. LOOK tells names and attributes; CREATE makes folders and links."""

    LOOK = "look"
    DOWNLOAD = "download"
    UPLOAD = "upload"
    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    RENAME = "rename"


@dataclass(frozen=True, slots=True)
class FileRefusal:
    """A request that is not passed on, by which rule, with words for the engineer."""

    rule_id: str
    message: str


@dataclass(frozen=True, slots=True)
class FileRules:
    """The rules of one permit for its file transfers; `channels` are the permit's."""

    channels: frozenset[str]
    rules: CommandRules

    @property
    def protects_something(self) -> bool:
        return any(rule.trees or rule.paths for rule in self.rules.rules)

    def permits(self, action: FileAction) -> FileRefusal | None:
        """None when the permit has the direction that this action needs; looking needs either."""
        match action:
            case FileAction.LOOK:
                allowed, rule = bool(FILE_CHANNELS & self.channels), "files.not-permitted"
            case FileAction.DOWNLOAD:
                allowed, rule = FILE_DOWNLOAD in self.channels, "files.no-download"
            case _:
                allowed, rule = FILE_UPLOAD in self.channels, "files.no-upload"
        if allowed:
            return None
        return FileRefusal(rule, f"to {action.value} files is not part of your access")

    def protects(self, path: str) -> FileRefusal | None:
        """The refusal to change what is at `path`, which is absolute; a block is named before a hold.

        `.` and `..` are taken lexically: resolve links first.
        """
        parts = [part for part in posixpath.normpath(path).split("/") if part]
        found = [
            rule
            for rule in self.rules.rules
            if any(_is_same_above_or_below(parts, tree) for tree in rule.trees)
            or any(_is_same_or_above(parts, folder) for folder in rule.paths)
        ]
        found.sort(key=lambda rule: rule.action is not CommandAction.BLOCK)
        if not found:
            return None
        return FileRefusal(found[0].rule_id, "what is there is protected from removal, replacement and change")


def _is_same_above_or_below(parts: list[str], folder: str) -> bool:
    return all(a == b for a, b in zip(parts, _split(folder), strict=False))


def _is_same_or_above(parts: list[str], folder: str) -> bool:
    return len(parts) <= len(_split(folder)) and _is_same_above_or_below(parts, folder)


def _split(folder: str) -> list[str]:
    return [part for part in folder.split("/") if part]
