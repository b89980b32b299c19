"""Pure: whether one SFTP request may reach the target.

Where a request changes something and paths are protected, the target itself is asked first what the path means: links
and relative paths are followed by the one who will follow them. The questions are SFTP requests of our own, yielded one
by one; whoever runs the generator sends back the answers. Between answer and request the target may change: somebody
who swaps a link in that moment gets past this, as he would with a command.
"""

import posixpath
from collections.abc import Generator, Set
from dataclasses import dataclass
from typing import Final

from broker.policy.file_rules import FileAction, FileRefusal, FileRules
from broker.protocols.ssh.sftp_transfer import OpenFile
from broker.protocols.ssh.sftp_wire import CHANGING_FLAGS, MAX_PATH_BYTES, OpenFlag, Request, Status, Type


@dataclass(frozen=True, slots=True)
class Question:
    """REALPATH or LSTAT of a path."""

    kind: Type
    path: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The path that a REALPATH names, else the status; an LSTAT that found something has the status OK."""

    status: int
    path: bytes | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """`refusal` is None when the request may go. `paths` are its paths, resolved as far as the target was asked.

    Once it is done, what is at `makes` was made by this channel in a protected folder, and what was at `gone` is gone.
    """

    refusal: FileRefusal | None
    paths: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Subject:
    """One path that a request changes. `follows`: a link at its end is followed; `makes`: nothing need be there."""

    path: bytes
    follows: bool = False
    makes: bool = False
    replaces: bool = True


@dataclass(frozen=True, slots=True)
class _Names:
    """`every` absolute name that a path is known under; `real` is the target's own, None when it has none."""

    every: list[str]
    real: str | None = None


Asking = Generator[Question, Answer, Judged]

_RENAMES: Final = "posix-rename@openssh.com"
_HARDLINK: Final = "hardlink@openssh.com"
_LSETSTAT: Final = "lsetstat@openssh.com"
_ACTIONS: Final[dict[int, FileAction]] = {
    Type.READ: FileAction.DOWNLOAD,
    Type.WRITE: FileAction.UPLOAD,
    Type.SETSTAT: FileAction.CHANGE,
    Type.FSETSTAT: FileAction.CHANGE,
    Type.REMOVE: FileAction.REMOVE,
    Type.RMDIR: FileAction.REMOVE,
    Type.RENAME: FileAction.RENAME,
    Type.MKDIR: FileAction.CREATE,
    Type.SYMLINK: FileAction.CREATE,
}
_EXTENDED_ACTIONS: Final = {
    _RENAMES: FileAction.RENAME,
    _HARDLINK: FileAction.CREATE,
    _LSETSTAT: FileAction.CHANGE,
    "copy-data": FileAction.UPLOAD,
    "fsync@openssh.com": FileAction.UPLOAD,
}


def action_of(request: Request) -> FileAction:
    """What this request does, before its handle is looked at."""
    if request.type == Type.OPEN:
        return FileAction.UPLOAD if request.flags & CHANGING_FLAGS else FileAction.DOWNLOAD
    return _ACTIONS.get(request.type) or _EXTENDED_ACTIONS.get(request.name, FileAction.LOOK)


def describe(request: Request, files: tuple[OpenFile, ...]) -> str:
    """The request as a line for people."""
    names = [file.path for file in files] or [as_text(path) for path in request.paths]
    what = action_of(request).value if request.known else request.name or f"request {request.type}"
    return " ".join(("sftp:", what, *names))


def judge_request(request: Request, files: tuple[OpenFile, ...], rules: FileRules, made: Set[str]) -> Asking:
    """Judges one request; `files` are those of its handles, `made` the paths that this channel made itself."""
    action = action_of(request)
    refusal = rules.permits(action)
    if refusal is None and request.type == Type.OPEN and action is FileAction.UPLOAD and request.flags & OpenFlag.READ:
        refusal = rules.permits(FileAction.DOWNLOAD)
    if refusal is None and request.name == _HARDLINK:
        refusal = rules.permits(FileAction.CHANGE)
    if refusal is not None:
        return Judged(refusal)
    if any(len(path) > MAX_PATH_BYTES or b"\0" in path for path in request.paths):
        return Judged(FileRefusal("files.bad-path", "the path is too long or not a path"))
    subjects = _subjects(request, files, action)
    if not subjects or not rules.protects_something:
        return Judged(None, tuple(as_text(path) for path in request.paths))
    resolved: list[str] = []
    makes: list[str] = []
    gone: list[str] = []
    for subject in subjects:
        found_names = yield from _names(subject)
        if isinstance(found_names, FileRefusal):
            return Judged(found_names)
        names, real = found_names.every, found_names.real
        resolved.append(names[-1] if names else as_text(subject.path))
        if not subject.makes:
            gone += [name for name in names if rules.protects(name) is not None]
        elif real is not None and rules.protects(real) is not None:
            makes.append(real)  # never a name that was only read: through a link it is that of another file
        refusals = [found for name in names if name not in made and (found := rules.protects(name)) is not None]
        if not refusals or not subject.replaces:
            continue
        if subject.makes and (yield Question(Type.LSTAT, subject.path)).status == Status.NO_SUCH_FILE:
            continue
        return Judged(refusals[0])
    if action not in (FileAction.REMOVE, FileAction.RENAME):
        gone.clear()
    return Judged(None, tuple(resolved), tuple(makes), tuple(gone))


def as_text(path: bytes) -> str:
    """A path as text, any bytes; the same text for the same bytes."""
    return path.decode("utf-8", "surrogateescape")


def _subjects(request: Request, files: tuple[OpenFile, ...], action: FileAction) -> list[_Subject]:
    paths = request.paths
    match action:
        case FileAction.UPLOAD if request.type == Type.OPEN:
            return [_Subject(paths[0], follows=True, makes=bool(request.flags & OpenFlag.CREAT))]
        case FileAction.CHANGE if request.type == Type.FSETSTAT:
            if files[0].was_opened_to_change:
                return []  # judged when it was opened
            return [_Subject(files[0].path.encode("utf-8", "surrogateescape"), follows=True)]
        case FileAction.CHANGE:
            return [_Subject(paths[0], follows=request.name != _LSETSTAT)]
        case FileAction.REMOVE:
            return [_Subject(paths[0])]
        case FileAction.RENAME:
            return [_Subject(paths[0]), _Subject(paths[1], makes=True)]
        case FileAction.CREATE if request.type == Type.MKDIR:
            return [_Subject(paths[0], makes=True, replaces=False)]
        case FileAction.CREATE if request.name == _HARDLINK:
            return [_Subject(paths[0])]  # a second name for a protected file would open it to change
    return []


def _names(subject: _Subject) -> Generator[Question, Answer, _Names | FileRefusal]:
    """The names of a path, the target's own last.

    No real one when its folder does not exist: the target will refuse the request itself.
    """
    path = subject.path
    names = [posixpath.normpath(as_text(path))] if path.startswith(b"/") else []
    folder, last = posixpath.split(path)
    whole = last in (b"", b".", b"..")
    if whole or subject.follows:
        answer = yield Question(Type.REALPATH, path)
        if answer.path is not None:
            real = as_text(answer.path)
            return _Names([*names, real], real)
        if whole and answer.status == Status.NO_SUCH_FILE:
            return _Names(names)
    if not whole:
        # Some servers name only what exists; and the last part of what is removed or renamed is not followed.
        answer = yield Question(Type.REALPATH, folder or b".")
        if answer.path is not None:
            real = as_text(posixpath.join(answer.path, last))
            return _Names([*names, real], real)
        if answer.status == Status.NO_SUCH_FILE:
            return _Names(names)
    return FileRefusal("files.unresolved", "the target does not tell what this path means")
