"""Pure: reads what an SSH client asks for: the environment it may set, and what kind of request a command is."""

import re
from collections.abc import Mapping
from typing import Final

from broker.gateway.channels import ChannelKind

_ALLOWED_NAME: Final = re.compile(rb"LANG|LC_[A-Z]{1,24}|TERM")
_ALLOWED_VALUE: Final = re.compile(rb"[A-Za-z0-9_.,:@+-]{0,128}")
_MAX_VARIABLES: Final = 32
_PROGRAM: Final = re.compile(r"\s*(?:\S*/)?(scp|rsync|sftp-server|internal-sftp)(?:\s+(.*))?", re.DOTALL)


def allowed_environment(variables: Mapping[bytes, bytes]) -> tuple[tuple[str, str], ...]:
    """The variables that reach the target: language and terminal type, with plain values; the rest is dropped."""
    found = [
        (name.decode("ascii"), value.decode("ascii"))
        for name, value in variables.items()
        if _ALLOWED_NAME.fullmatch(name) and _ALLOWED_VALUE.fullmatch(value)
    ]
    return tuple(found[:_MAX_VARIABLES])


def exec_kind(command: str) -> ChannelKind:
    """Whether a command is the far end of a file copy (`scp -t`, `rsync --server`) or an ordinary command.

    For the engineer's sake, not a boundary: he is told what to use instead. What a command moves is recorded as its
    input and output in any case.
    """
    match = _PROGRAM.fullmatch(command)
    if match is None:
        return ChannelKind.EXEC
    program, arguments = match[1], match[2] or ""
    if program == "scp":
        transfer = any(re.fullmatch(r"-[A-Za-z]*[tf][A-Za-z]*", word) for word in arguments.split())
    elif program == "rsync":
        transfer = "--server" in arguments.split()
    else:
        transfer = True
    return ChannelKind.FILE_COMMAND if transfer else ChannelKind.EXEC


def subsystem_kind(name: str) -> ChannelKind:
    """SFTP is file transfer and is read here; anything else is not known."""
    return ChannelKind.FILE_TRANSFER if name == "sftp" else ChannelKind.SUBSYSTEM


def plain_line(text: str) -> str:
    """Words for a terminal or a disconnect message: one line, no control characters."""
    return "".join(char if char.isprintable() else " " for char in text)
