"""Which addresses several parties come from (pure but for its lock).

An edge that translates everybody to one address makes all of the outside look like one neighbour. An address proves
nothing here in any case - doors demand a proof and keys - but who reads an address in a list must know that it stands
for many. An address counts as shared when devices of two people knock from it within a day, or when somebody who could
not prove a knock connects through a window that a device has opened there.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

REMEMBERED: Final = timedelta(days=1)
MOST_ADDRESSES: Final = 4_096
MOST_DEVICES_OF_AN_ADDRESS: Final = 256
SHARED_BY_OWNERS: Final = 2
_NOT_A_STRANGER: Final = frozenset({"closed", "expired"})
"""A client closes attempts that it does not need, and may come late: neither tells of somebody else."""


@dataclass(frozen=True)
class SharedSource:
    """An address that stands for several parties."""

    address: str
    devices: int
    strangers: int
    last_at: datetime


@dataclass
class _Seen:
    owners: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    strangers: list[datetime] = field(default_factory=list)
    told_at: datetime | None = None

    def forget_before(self, oldest: datetime) -> None:
        self.owners = {device: seen for device, seen in self.owners.items() if seen[1] > oldest}
        self.strangers = [at for at in self.strangers if at > oldest]

    @property
    def is_shared(self) -> bool:
        return len({owner for owner, _ in self.owners.values()}) >= SHARED_BY_OWNERS or (
            bool(self.owners) and bool(self.strangers)
        )

    def shown(self, address: str) -> SharedSource:
        moments = [at for _, at in self.owners.values()] + self.strangers
        return SharedSource(address, len(self.owners), len(self.strangers), max(moments))


class SourceWatch:
    """Remembers for a day who came from where, for a bounded number of addresses. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def knocked(self, address: str, device_id: str, owner: str, at: datetime) -> SharedSource | None:
        """A device knocked. Returns the address when it has just turned out to be shared."""
        with self._lock:
            seen = self._at(address, at)
            if device_id in seen.owners or len(seen.owners) < MOST_DEVICES_OF_AN_ADDRESS:
                seen.owners[device_id] = (owner, at)
            return self._news(address, seen, at)

    def refused(self, address: str, reason: str, at: datetime) -> SharedSource | None:
        """A connection without a valid proof. Returns the address when it has just turned out to be shared."""
        if reason in _NOT_A_STRANGER:
            return None
        with self._lock:
            seen = self._at(address, at)
            seen.strangers = [*seen.strangers, at][-MOST_DEVICES_OF_AN_ADDRESS:]
            return self._news(address, seen, at)

    def shared(self, now: datetime) -> Sequence[SharedSource]:
        """Every address that is shared now, the newest last."""
        with self._lock:
            for seen in self._seen.values():
                seen.forget_before(now - REMEMBERED)
            found = [seen.shown(address) for address, seen in self._seen.items() if seen.is_shared]
        return sorted(found, key=lambda one: one.last_at)

    def _at(self, address: str, now: datetime) -> _Seen:
        seen = self._seen.pop(address, None) or _Seen()
        self._seen[address] = seen
        seen.forget_before(now - REMEMBERED)
        if len(self._seen) > MOST_ADDRESSES:
            self._seen.popitem(last=False)
        return seen

    @staticmethod
    def _news(address: str, seen: _Seen, now: datetime) -> SharedSource | None:
        if not seen.is_shared or (seen.told_at is not None and seen.told_at > now - REMEMBERED):
            return None
        seen.told_at = now
        return seen.shown(address)
