"""The base of every audit event, and the catalogue of all of them.

An event is a frozen dataclass in its domain's `events.py`: a stable `code`, who did it (`actor`), to what (`subject`)
and its own fields, each marked `Public[...]` or `Sensitive[...]`. A field marked `Secret[...]` is refused, and so is a
value that is no plain text, number or truth: secrets never enter an event.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated, ClassVar, Final, get_args, get_origin, get_type_hints

from broker.kernel.sensitivity import Public, Sensitivity

FieldValue = str | int | bool | None

_OF_EVERY_EVENT: Final = frozenset({"actor", "subject"})

_catalogue: dict[str, type["AuditEvent"]] = {}


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """Something that happened and must be found again.

    `actor` is an id (`psn_…`, `dev_…`) or `system:<part>`; `subject` is the id of the thing it happened to.
    """

    code: ClassVar[str] = ""
    actor: Public[str]
    subject: Public[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.code:
            raise TypeError(f"{cls.__name__} has no code")
        known = _catalogue.get(cls.code)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise TypeError(f"two audit events have the code {cls.code}")
        _catalogue[cls.code] = cls

    def params(self) -> dict[str, FieldValue]:
        """The event's own fields, as they are written into the trail.

        Raises TypeError when one holds something that the trail must not hold, a secret above all.
        """
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _OF_EVERY_EVENT}
        for name, value in own.items():
            if value is not None and not isinstance(value, str | int | bool):
                raise TypeError(f"{type(self).__name__}.{name} holds a {type(value).__name__}, which the trail refuses")
        return own


@dataclass(frozen=True)
class AuditRecord:
    """An event as it stands in the trail."""

    seq: int
    at: datetime
    code: str
    actor: str
    subject: str
    params: Mapping[str, FieldValue]
    previous_hash: bytes
    hash: bytes


def catalogue() -> Mapping[str, type[AuditEvent]]:
    """Every event class by its code."""
    return dict(_catalogue)


def classified(event_class: type[AuditEvent]) -> dict[str, Sensitivity]:
    """The mark of each field.

    Raises TypeError when a field has none, or is marked as a secret.
    """
    marks: dict[str, Sensitivity] = {}
    for name, hint in get_type_hints(event_class, include_extras=True).items():
        if name == "code":
            continue
        mark = next((part for part in get_args(hint)[1:] if isinstance(part, Sensitivity)), None)
        if get_origin(hint) is not Annotated or mark is None:
            raise TypeError(f"{event_class.__name__}.{name} is not marked Public or Sensitive")
        if mark is Sensitivity.SECRET:
            raise TypeError(f"{event_class.__name__}.{name} is a secret, which never enters an event")
        marks[name] = mark
    return marks


def event_of(record: AuditRecord) -> AuditEvent | None:
    """The event that a record tells, or None when this release has no class of that code."""
    event_class = _catalogue.get(record.code)
    if event_class is None:
        return None
    return event_class(actor=record.actor, subject=record.subject, **record.params)
