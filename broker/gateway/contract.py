"""Pure: what gateway and protocols say to each other: a session's events and commands.

A session is a machine: events in, commands out, in an order that the driver keeps. `Record` always stands before the
`Send` of the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.gateway.channels import ChannelKind, ExitState, Side, Stream, Terminal
from broker.gateway.file_stream import FileStreams
from broker.gateway.permits import Lease, SessionPermit

if TYPE_CHECKING:
    from recorder.frames import Frame


@dataclass(frozen=True, slots=True)
class Moment:
    """Now on two clocks: wall clock, which may be set, and time since boot, sleep included, which only rises."""

    wall_ms: int
    boot_us: int


# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Admitted:
    permit: SessionPermit


@dataclass(frozen=True, slots=True)
class Leased:
    lease: Lease


@dataclass(frozen=True, slots=True)
class Dialed:
    pass


@dataclass(frozen=True, slots=True)
class OpeningFailed:
    """Control gave no lease, or the target did not answer as pinned."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ChannelRequested:
    """`files` reads the channel's bytes when its kind is FILE_TRANSFER."""

    channel: int
    kind: ChannelKind
    text: str = ""
    terminal: Terminal | None = None
    environment: tuple[tuple[str, str], ...] = ()
    files: FileStreams | None = None


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    channel: int


@dataclass(frozen=True, slots=True)
class ChannelFailed:
    channel: int
    message: str


@dataclass(frozen=True, slots=True)
class ClientBytes:
    channel: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TargetBytes:
    channel: int
    data: bytes
    stream: Stream = Stream.OUTPUT


@dataclass(frozen=True, slots=True)
class Ended:
    """One side of a channel will send no more; the other direction stays open."""

    channel: int
    side: Side


@dataclass(frozen=True, slots=True)
class Resized:
    channel: int
    width: int
    height: int
    pixel_width: int = 0
    pixel_height: int = 0


@dataclass(frozen=True, slots=True)
class Signalled:
    channel: int
    name: str


@dataclass(frozen=True, slots=True)
class Broken:
    channel: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class TargetExited:
    channel: int
    exit: ExitState


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    channel: int
    side: Side


@dataclass(frozen=True, slots=True)
class SideGone:
    side: Side
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TimerFired:
    channel: int
    token: int


@dataclass(frozen=True, slots=True)
class HoldDecided:
    channel: int
    allowed: bool


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed; deadlines are looked at."""


@dataclass(frozen=True, slots=True)
class Renewed:
    not_after_ms: int


@dataclass(frozen=True, slots=True)
class PermitEnded:
    reason: str


@dataclass(frozen=True, slots=True)
class CutOrdered:
    reason: str


@dataclass(frozen=True, slots=True)
class Frozen:
    """The plant holds the engineer's input; `reason` is words for the engineer."""

    reason: str


@dataclass(frozen=True, slots=True)
class Thawed:
    pass


@dataclass(frozen=True, slots=True)
class Told:
    """The plant has a line for the engineer."""

    text: str


@dataclass(frozen=True, slots=True)
class WatchersChanged:
    count: int


@dataclass(frozen=True, slots=True)
class ControlLost:
    pass


@dataclass(frozen=True, slots=True)
class ControlBack:
    pass


@dataclass(frozen=True, slots=True)
class RecorderFailed:
    """What follows can not be recorded any more. `code` is the reason of the session's end.

    `is_whole`: everything that a side received is on file, and the recording can be sealed.
    """

    reason: str
    code: str = "recorder_failed"
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class RecorderResumed:
    """The recording found room again after this time, in which nothing passed."""

    held_ms: int


ChannelEvent = (
    ChannelRequested | ChannelOpened | ChannelFailed | ClientBytes | TargetBytes | Ended | Resized | Signalled | Broken
    | TargetExited | ChannelClosed | TimerFired | HoldDecided
)  # fmt: skip
SessionEvent = (
    SideGone | Ticked | Renewed | PermitEnded | CutOrdered | Frozen | Thawed | Told | WatchersChanged | ControlLost
    | ControlBack | RecorderFailed | RecorderResumed
)  # fmt: skip
Event = Admitted | Leased | Dialed | OpeningFailed | ChannelEvent | SessionEvent

# ---------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class AskLease:
    """Open the recording, then ask control for the credential, naming the recording's key."""


@dataclass(frozen=True, slots=True)
class Dial:
    lease: Lease


@dataclass(frozen=True, slots=True)
class Record:
    frames: "tuple[Frame, ...]"


@dataclass(frozen=True, slots=True)
class Send:
    channel: int
    side: Side
    data: bytes
    stream: Stream = Stream.OUTPUT


@dataclass(frozen=True, slots=True)
class SendEnd:
    channel: int
    side: Side


@dataclass(frozen=True, slots=True)
class OpenChannel:
    channel: int
    kind: ChannelKind
    text: str
    terminal: Terminal | None
    environment: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Refuse:
    """A channel that is not opened: the message for the engineer and the exit status that his program sees."""

    channel: int
    message: str
    status: int


@dataclass(frozen=True, slots=True)
class Message:
    """One line from the broker itself to the engineer's terminal."""

    channel: int
    text: str


@dataclass(frozen=True, slots=True)
class EndChannel:
    channel: int
    exit: ExitState


@dataclass(frozen=True, slots=True)
class CloseTargetChannel:
    channel: int


@dataclass(frozen=True, slots=True)
class Resize:
    channel: int
    width: int
    height: int
    pixel_width: int
    pixel_height: int


@dataclass(frozen=True, slots=True)
class Signal:
    channel: int
    name: str


@dataclass(frozen=True, slots=True)
class Break:
    channel: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Whether bytes of this side of a channel may come in."""

    channel: int
    side: Side
    open: bool


@dataclass(frozen=True, slots=True)
class StartTimer:
    channel: int
    token: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class AskHold:
    channel: int
    rule_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AskRenewal:
    pass


@dataclass(frozen=True, slots=True)
class Report:
    code: str
    params: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class DropTarget:
    """Cut the leg to the target at once; nothing more is sent to it."""


@dataclass(frozen=True, slots=True)
class Close:
    """Disconnect the client, close the recording, tell control. `broken` = the recording could not be written."""

    reason: str
    message: str
    exit_status: int | None
    broken: bool


Command = (
    AskLease | Dial | Record | Send | SendEnd | OpenChannel | Refuse | Message | EndChannel | CloseTargetChannel
    | Resize | Signal | Break | Flow | StartTimer | AskHold | AskRenewal | Report | DropTarget | Close
)  # fmt: skip
