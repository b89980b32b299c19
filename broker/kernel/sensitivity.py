"""How freely a value may be shown: every audit field carries one of these marks.

`Public[str]` may be read by whoever may read the trail, `Sensitive[str]` is hidden from exports without the right to
it, and what is `Secret[…]` never enters an event at all: it lives in `SecretText`, which prints as `***`.
"""

from enum import Enum
from typing import Annotated, TypeVar

T = TypeVar("T")


class Sensitivity(Enum):
    """The mark itself."""

    PUBLIC = "public"
    SENSITIVE = "sensitive"
    SECRET = "secret"  # noqa: S105 - the name of a mark


Public = Annotated[T, Sensitivity.PUBLIC]
Sensitive = Annotated[T, Sensitivity.SENSITIVE]
Secret = Annotated[T, Sensitivity.SECRET]


class SecretText:
    """A secret in memory: shown only on purpose, by `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself; call it only where it is used."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        raise TypeError("secrets are compared with hmac.compare_digest, not with ==")

    __hash__ = None  # type: ignore[assignment]
