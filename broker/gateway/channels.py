"""Pure: what a session's channels are made of: their kinds, sides and streams, a terminal, and how a program ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum


class Side(Enum):
    CLIENT = "client"
    TARGET = "target"


class Stream(Enum):
    OUTPUT = "output"
    ERROR = "error"


class ChannelKind(StrEnum):
    """FILE_TRANSFER speaks a file protocol that is read here; FILE_COMMAND is a file copy that is not."""

    SHELL = "shell"
    EXEC = "exec"
    FILE_TRANSFER = "file_transfer"
    FILE_COMMAND = "file_command"
    SUBSYSTEM = "subsystem"


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal as the client asked for it; sizes in cells and pixels, modes as opcode → value (RFC 4254 §8)."""

    kind: str
    width: int
    height: int
    pixel_width: int = 0
    pixel_height: int = 0
    modes: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExitState:
    """How a remote program ended: a status, or a signal name; neither when the target did not say."""

    status: int | None = None
    signal: str | None = None
    core_dumped: bool = False
    message: str = ""
