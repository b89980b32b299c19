from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from sqlmodel import SQLModel

from broker.adapters.db.database import Database
from broker.audit import store
from broker.audit.model import AuditEvent
from broker.audit.reactions import Reactions
from broker.kernel.clock import StandingClock


@dataclass(frozen=True, kw_only=True)
class Approved(AuditEvent):
    code: ClassVar[str] = "test_reactions.approved"


@dataclass(frozen=True, kw_only=True)
class Issued(AuditEvent):
    code: ClassVar[str] = "test_reactions.issued"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    clock = StandingClock(datetime(2026, 11, 20, 9, tzinfo=UTC))
    made = Database(f"sqlite:///{tmp_path / 'test.db'}", store.EventAppender(clock))
    for name in ("audit_events", "outbox"):
        SQLModel.metadata.tables[name].create(made.engine)
    yield made
    made.close()


def _emit(database: Database, event_class: type[AuditEvent]) -> None:
    with database.unit_of_work() as unit:
        unit.emit(event_class(actor="system:test", subject="req_1"))


def _waiting(database: Database) -> int:
    with database.reading() as session:
        return len(store.pending(session, 100))


def test_a_reaction_runs_right_after_the_commit(database: Database) -> None:
    reactions, seen = Reactions(database), []
    reactions.subscribe(Approved, seen.append)
    _emit(database, Approved)
    assert [event.subject for event in seen] == ["req_1"]
    assert _waiting(database) == 0


def test_a_reaction_may_write_events_of_its_own(database: Database) -> None:
    reactions, order = Reactions(database), []

    def issue(event: Approved) -> None:
        order.append("approved")
        _emit(database, Issued)

    reactions.subscribe(Approved, issue)
    reactions.subscribe(Issued, lambda event: order.append("issued"))
    _emit(database, Approved)
    assert order == ["approved", "issued"]
    assert _waiting(database) == 0


def test_a_failed_reaction_is_tried_again_and_holds_nobody_up(database: Database) -> None:
    reactions, state = Reactions(database), {"broken": True, "done": 0}

    def work(event: Approved) -> None:
        if state["broken"]:
            raise RuntimeError("the other side is down")
        state["done"] += 1

    reactions.subscribe(Approved, work)
    _emit(database, Approved)
    _emit(database, Issued)
    assert _waiting(database) == 1
    assert reactions.deliver_pending() == 1
    state["broken"] = False
    assert reactions.deliver_pending() == 0
    assert state["done"] == 1


def test_what_a_crash_left_in_the_outbox_is_served_at_the_next_start(database: Database) -> None:
    _emit(database, Approved)
    seen: list[AuditEvent] = []
    reactions = Reactions(database)
    reactions.subscribe(Approved, seen.append)
    reactions.deliver_pending()
    assert len(seen) == 1
