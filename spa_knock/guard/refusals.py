"""Why each device was last refused: what a host's operator needs to explain a knock without an answer. Pure.

Only knocks that opened under a device's own key are noted, so a stranger's junk leaves no trace but a counter.
"""

from collections import OrderedDict
from collections.abc import Sequence

from spa_knock.guard.rules import Address, Refused

MAX_NOTED = 256
MAX_TOLD = 50


class RefusalBook:
    """The last refusal of each device, newest last; the oldest gives way when the book is full."""

    def __init__(self) -> None:
        self._noted: OrderedDict[str, dict[str, object]] = OrderedDict()

    def note(self, refused: Refused, source: Address, now_ms: int) -> None:
        """Remember a refusal that names its device; others change nothing."""
        if refused.device_id is None:
            return
        before = self._noted.pop(refused.device_id, None)
        again = before is not None and before["reason"] == str(refused.reason)
        count = before["count"] if again and before is not None else 0
        body = refused.body
        self._noted[refused.device_id] = {
            "device_id": refused.device_id,
            "reason": str(refused.reason),
            "count": (count if isinstance(count, int) else 0) + 1,
            "at_ms": now_ms,
            "source": str(source),
            "door": body.service if body else None,
            "named": str(body.address) if body and body.address else None,
            "clock_off_ms": body.stamp_ms - now_ms if body else None,
        }
        if len(self._noted) > MAX_NOTED:
            self._noted.popitem(last=False)

    def forget(self, device_id: str) -> None:
        """A knock of this device was accepted: what was wrong is over."""
        self._noted.pop(device_id, None)

    def told(self) -> Sequence[dict[str, object]]:
        """The newest refusals for a status message."""
        return list(self._noted.values())[-MAX_TOLD:]
