"""A protocol's two connections, to the engineer and to the target, as a session's driver uses them."""

from typing import Protocol

from broker.gateway import contract as c
from broker.gateway.permits import Lease


class TargetRefused(Exception):
    """The target could not be reached, is not the pinned one, or refuses; the words are for the engineer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Legs(Protocol):
    """A protocol's two connections, as the driver uses them. Only `dial` and `open_channel` may take time.

    The others do not raise when their connection is gone already: that comes as an event.
    """

    async def dial(self, lease: Lease) -> None:
        """Connects to the target. Raises TargetRefused."""
        ...

    async def open_channel(self, command: c.OpenChannel) -> None:
        """Opens the channel on the target's side. Raises TargetRefused."""
        ...

    def send(self, command: c.Send) -> None: ...
    def send_end(self, command: c.SendEnd) -> None: ...
    def refuse(self, command: c.Refuse) -> None: ...
    def message(self, command: c.Message) -> None: ...
    def end_channel(self, command: c.EndChannel) -> None: ...
    def close_target_channel(self, channel: int) -> None: ...
    def resize(self, command: c.Resize) -> None: ...
    def signal(self, command: c.Signal) -> None: ...
    def send_break(self, command: c.Break) -> None: ...
    def flow(self, command: c.Flow) -> None: ...

    def drop_target(self) -> None:
        """Cuts the target's leg at once, without sending what is buffered."""
        ...

    def drop_client(self, message: str) -> None:
        """Disconnects the client after what was written to it."""
        ...
