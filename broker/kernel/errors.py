"""The refusals that use-cases raise, each with a stable code.

    SallyportError
    ├── Invalid           the input cannot be used as it is
    ├── Unauthenticated   nobody is signed in, or the proof of identity failed
    ├── Forbidden         known, but not allowed
    ├── NotFound          absent, or not to be seen by this caller: the two are never told apart
    ├── Conflict          the thing is not in a state that permits this
    ├── TooMany           a bound was reached; try later
    └── Unavailable       a part that is needed does not answer

A message says what happened, to what, and what to do next; it never holds a secret.
"""

from collections.abc import Mapping

Parameter = str | int | bool | None


class SallyportError(Exception):
    """A refusal with a stable code, words for a person and parameters for a client that has its own words."""

    def __init__(self, code: str, message: str, params: Mapping[str, Parameter] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.params: dict[str, Parameter] = dict(params or {})


class Invalid(SallyportError):
    """The input cannot be used as it is."""


class Unauthenticated(SallyportError):
    """Nobody is signed in, or the proof of identity failed."""


class Forbidden(SallyportError):
    """The caller is known, but not allowed."""


class NotFound(SallyportError):
    """Absent, or not to be seen by this caller."""


class Conflict(SallyportError):
    """The thing is not in a state that permits this."""


class TooMany(SallyportError):
    """A bound was reached."""


class Unavailable(SallyportError):
    """A part that is needed does not answer."""
