"""Which sockets were given which mark by this opener, so that a revocation need not look for them first. Pure.

Only a short cut: the kernel's own list of flows stays the authority, since an opener that was started anew knows none.
A name that is kept for too long harms nothing: it holds the kernel's cookie, which no other socket ever gets.
"""

from collections import OrderedDict
from collections.abc import Iterable

from spa_knock.opener.sockets import Connection

SOCKETS_OF_A_MARK = 32
MAX_MARKS = 1_024


class MarkedSockets:
    """The newest sockets of each mark; the mark that was used longest ago gives way."""

    def __init__(self) -> None:
        self._sockets: OrderedDict[int, tuple[Connection, ...]] = OrderedDict()

    def note(self, mark: int, connections: Iterable[Connection]) -> None:
        """These sockets carry `mark` now."""
        kept = dict.fromkeys((*self._sockets.pop(mark, ()), *connections))
        self._sockets[mark] = tuple(kept)[-SOCKETS_OF_A_MARK:]
        if len(self._sockets) > MAX_MARKS:
            self._sockets.popitem(last=False)

    def take(self, mark: int) -> tuple[Connection, ...]:
        """The sockets that are known to carry `mark`, newest first; they are forgotten."""
        return self._sockets.pop(mark, ())[::-1]
