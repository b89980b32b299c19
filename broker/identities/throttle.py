"""A bound on failures from one source, whoever they try to be: kept in memory, forgotten with the minute."""

import threading
from datetime import datetime, timedelta
from typing import Final

from broker.identities.errors import too_many_attempts

MOST_FAILURES: Final = 20
PERIOD: Final = timedelta(minutes=1)
_MOST_SOURCES: Final = 10_000


class Throttle:
    """Counts failures by source within a minute; a source is an address at the console, a device at the vendor face."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[datetime, int]] = {}

    def check(self, source: str, now: datetime) -> None:
        """Raise TooMany when this source failed too often in this minute, before any work is done for it."""
        with self._lock:
            began_at, count = self._failures.get(source, (now, 0))
            if count >= MOST_FAILURES and now < began_at + PERIOD:
                raise too_many_attempts()

    def failed(self, source: str, now: datetime) -> None:
        """Count a failure."""
        with self._lock:
            if len(self._failures) >= _MOST_SOURCES:
                self._failures = {key: value for key, value in self._failures.items() if now < value[0] + PERIOD}
            began_at, count = self._failures.get(source, (now, 0))
            if now >= began_at + PERIOD:
                began_at, count = now, 0
            if source in self._failures or len(self._failures) < _MOST_SOURCES:
                self._failures[source] = (began_at, count + 1)
