from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from broker.audit.model import AuditEvent, AuditRecord, catalogue, classified, event_of
from broker.kernel.sensitivity import Public, Secret, SecretText, Sensitive, Sensitivity


@dataclass(frozen=True, kw_only=True)
class GateOpened(AuditEvent):
    code: ClassVar[str] = "test_model.gate.opened"
    gate: Public[str]
    address: Sensitive[str]


def test_every_class_is_in_the_catalogue() -> None:
    assert catalogue()["test_model.gate.opened"] is GateOpened


def test_params_are_the_events_own_fields() -> None:
    event = GateOpened(actor="system:guard", subject="dev_1", gate="1", address="192.0.2.1")
    assert event.params() == {"gate": "1", "address": "192.0.2.1"}


def test_two_classes_cannot_share_a_code() -> None:
    with pytest.raises(TypeError, match="two audit events"):

        class _Other(AuditEvent):
            code: ClassVar[str] = "test_model.gate.opened"


def test_a_class_without_code_is_refused() -> None:
    with pytest.raises(TypeError, match="has no code"):

        class _Bare(AuditEvent):
            pass


def test_marks_are_read_and_an_unmarked_field_is_refused() -> None:
    assert classified(GateOpened)["address"] is Sensitivity.SENSITIVE

    @dataclass(frozen=True, kw_only=True)
    class Unmarked(AuditEvent):
        code: ClassVar[str] = "test_model.unmarked"
        field: str

    with pytest.raises(TypeError, match="not marked"):
        classified(Unmarked)


def test_a_secret_is_refused_by_its_mark_and_by_its_value() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Telling(AuditEvent):
        code: ClassVar[str] = "test_model.telling"
        password: Secret[str]

    with pytest.raises(TypeError, match="never enters"):
        classified(Telling)
    for value in (SecretText("hunter2"), b"hunter2", 1.5, ["hunter2"]):
        with pytest.raises(TypeError, match="refuses") as refusal:
            GateOpened(actor="a", subject="b", gate="1", address=value).params()  # type: ignore[arg-type]
        assert "hunter2" not in str(refusal.value)


def test_a_record_gives_its_event_back() -> None:
    event = GateOpened(actor="system:guard", subject="dev_1", gate="1", address="192.0.2.1")
    record = AuditRecord(
        1, datetime.now(UTC), event.code, event.actor, event.subject, event.params(), bytes(32), bytes(32)
    )
    assert event_of(record) == event
