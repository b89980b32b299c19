"""One result of `sallyport doctor`."""

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How a check went; only a failure makes the command fail."""

    OK = "ok"
    WARNING = "warn"
    FAILED = "fail"


@dataclass(frozen=True)
class Finding:
    """One check: its name, how it went, what was found, and what to do."""

    name: str
    state: State
    found: str
    do: str = ""

    def lines(self) -> list[str]:
        """For people."""
        told = [f"{self.state.value:<5} {self.name:<16} {self.found}"]
        return [*told, f"{'':<22} → {self.do}"] if self.do else told

    def as_json(self) -> dict[str, str]:
        """For machines."""
        return {"name": self.name, "state": self.state.value, "found": self.found, "do": self.do}
