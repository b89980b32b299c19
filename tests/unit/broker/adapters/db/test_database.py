import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, select

from broker.adapters.db.database import Database


class _Apart(SQLModel, registry=registry()):
    """Tables of this test alone: the product's schema must not know them."""


class NoteRow(_Apart, table=True):
    __tablename__ = "notes"
    id: int | None = Field(default=None, primary_key=True)
    text: str


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    def append(session: Session, events: Sequence[object]) -> Sequence[int]:
        if "fail" in events:
            raise RuntimeError("the trail cannot be written")
        return list(range(len(events)))

    made = Database(f"sqlite:///{tmp_path / 'test.db'}", append)
    NoteRow.metadata.create_all(made.engine)
    yield made
    made.close()


def _texts(database: Database) -> list[str]:
    with database.reading() as session:
        return [row.text for row in session.exec(select(NoteRow)).all()]


def test_a_unit_of_work_commits_when_its_block_ends(database: Database) -> None:
    with database.unit_of_work() as unit:
        unit.session.add(NoteRow(text="kept"))
    assert _texts(database) == ["kept"]


def test_a_unit_of_work_leaves_nothing_when_it_raises(database: Database) -> None:
    with pytest.raises(ValueError, match="no"), database.unit_of_work() as unit:
        unit.session.add(NoteRow(text="lost"))
        unit.session.flush()
        raise ValueError("no")
    assert _texts(database) == []


def test_a_change_whose_event_cannot_be_written_is_not_made(database: Database) -> None:
    with pytest.raises(RuntimeError, match="trail"), database.unit_of_work() as unit:
        unit.session.add(NoteRow(text="unaudited"))
        unit.emit("fail")
    assert _texts(database) == []


def test_reading_never_keeps_a_change(database: Database) -> None:
    with database.reading() as session:
        session.add(NoteRow(text="lost"))
        session.flush()
    assert _texts(database) == []


def test_the_listener_hears_of_committed_events_only(database: Database) -> None:
    heard: list[Sequence[int]] = []
    database.on_commit(heard.append)
    with database.unit_of_work() as unit:
        unit.emit("one")
        assert heard == []
    with pytest.raises(ValueError, match="no"), database.unit_of_work() as unit:
        unit.emit("two")
        raise ValueError("no")
    assert heard == [[0]]


def test_two_units_of_work_do_not_interleave(database: Database) -> None:
    inside, others = threading.Event(), []

    def write_second() -> None:
        inside.wait(5)
        with database.unit_of_work() as unit:
            others.append([row.text for row in unit.session.exec(select(NoteRow)).all()])

    thread = threading.Thread(target=write_second)
    thread.start()
    with database.unit_of_work() as unit:
        inside.set()
        unit.session.add(NoteRow(text="first"))
        unit.session.flush()
    thread.join(10)
    assert others == [["first"]]


def test_a_database_of_an_unknown_kind_is_refused() -> None:
    for url in ("mysql://root@localhost/x", "postgresql+asyncpg://localhost/x"):
        with pytest.raises(ValueError, match="is not known"):
            Database(url, lambda _session, _events: ())
