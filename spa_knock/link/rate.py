"""A bounded rate: so many events at once, so many a second in the long run. The caller brings the clock."""

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """Admits `burst` events at once and `per_second` in the long run."""

    per_second: float
    burst: float
    _tokens: float = -1.0
    _filled_at: float = 0.0

    def admits(self, now: float) -> bool:
        """Whether one more event fits at `now` (seconds of a monotonic clock); counts it when it does."""
        if self._tokens < 0:
            self._tokens, self._filled_at = self.burst, now
        gained = max(0.0, now - self._filled_at) * self.per_second
        self._tokens = min(self.burst, self._tokens + gained)
        self._filled_at = max(self._filled_at, now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
