"""Which knocks hold which window open: counted per knock, so that devices behind one address do not shut each other.

The kernel's element is one per door and address and times out by itself; this book only decides how long it must live
and when the last knock has let go. It is lost on a restart; then a `shut` closes at once, which is the safe side.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address
Window = tuple[int, Address]

MAX_WINDOWS = 65_536
MAX_KNOCKS_PER_WINDOW = 1_024


class TooMany(Exception):
    """The book is full."""


@dataclass(slots=True)
class Windows:
    """The knocks that hold each window, by knock id, with the moment (seconds, monotonic) at which each lets go."""

    _held: dict[Window, dict[str, float]] = field(default_factory=dict)

    def hold(self, window: Window, knock_id: str, until: float, now: float) -> float:
        """A knock opens a window until `until`. Returns the moment until which the element must now live.

        Raises TooMany when the book is full of windows that are not over.
        """
        self.forget_past(window, now)
        if window not in self._held and len(self._held) >= MAX_WINDOWS:
            for past in list(self._held):
                self.forget_past(past, now)
            if len(self._held) >= MAX_WINDOWS:
                raise TooMany
        holders = self._held.setdefault(window, {})
        if knock_id not in holders and len(holders) >= MAX_KNOCKS_PER_WINDOW:
            raise TooMany
        holders[knock_id] = max(until, holders.get(knock_id, until))
        return max(holders.values())

    def let_go(self, window: Window, knock_id: str | None, now: float) -> bool:
        """A knock needs its window no more (None: the one that would end first). Returns whether nobody needs it."""
        self.forget_past(window, now)
        holders = self._held.get(window)
        if not holders:
            return True
        if knock_id is None:
            knock_id = min(holders, key=lambda holder: holders[holder])
        holders.pop(knock_id, None)
        if holders:
            return False
        del self._held[window]
        return True

    def knocks_of(self, window: Window, now: float) -> list[str]:
        """The knocks that hold a window now, the one that ends last first."""
        holders = self._held.get(window, {})
        return sorted((one for one in holders if holders[one] > now), key=lambda one: holders[one], reverse=True)

    def drop(self, window: Window) -> None:
        """Forget a window with all its knocks."""
        self._held.pop(window, None)

    def forget_past(self, window: Window, now: float) -> None:
        """Forget the knocks of a window whose time is over."""
        holders = self._held.get(window)
        if holders is None:
            return
        for knock_id in [holder for holder, until in holders.items() if until <= now]:
            del holders[knock_id]
        if not holders:
            del self._held[window]
