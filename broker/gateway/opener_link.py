"""What the gateway may ask of the firewall: mark its own flow, and shut the window that let it in."""

from pathlib import Path
from typing import Final

from broker.gateway.knocks import Expectation
from broker.gateway.local_link import LocalLink, PeerRefused, PeerSilent, tell

_SECONDS: Final = 2.0


class NotMarked(Exception):
    """The flow could not be marked, so it could not be cut at the firewall later: the connection must not go on."""


class OpenerLink:
    """The opener's `gateway` socket."""

    def __init__(self, path: Path) -> None:
        self._link = LocalLink(path)

    async def run(self) -> None:
        """Keeps the link until cancelled."""
        await self._link.run()

    async def mark(self, expectation: Expectation, port: int) -> None:
        """Marks the flow of this connection with its device's mark. Raises NotMarked."""
        message = {
            "type": "mark",
            "door": expectation.door,
            "address": expectation.address,
            "port": port,
            "mark": expectation.mark,
        }
        try:
            await self._link.ask(message, _SECONDS)
        except (PeerSilent, PeerRefused) as error:
            raise NotMarked(str(error)) from error

    async def shut(self, expectation: Expectation) -> bool:
        """Closes the window of this knock; False when the opener did not do it (its kernel timeout then does)."""
        message = {
            "type": "shut",
            "door": expectation.door,
            "address": expectation.address,
            "knock_id": expectation.knock_id,
        }
        return await tell(self._link.ask(message, _SECONDS))
