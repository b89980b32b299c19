import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from broker.sessions import store
from broker.sessions.model import SessionState
from broker.sessions.store import SessionRow, UsedProofRow
from tests.unit.broker.sessions.plant import Plant


def test_the_database_refuses_a_closed_session_without_reason_and_end(plant: Plant) -> None:
    admitted = plant.admitted()
    with pytest.raises(IntegrityError), plant.world.database.unit_of_work() as unit:
        row = unit.session.get(SessionRow, admitted.session_id)
        assert row is not None
        row.state = SessionState.CLOSED
        unit.session.add(row)


def test_the_database_refuses_a_live_session_without_a_start(plant: Plant) -> None:
    admitted = plant.admitted()
    with pytest.raises(IntegrityError), plant.world.database.unit_of_work() as unit:
        row = unit.session.get(SessionRow, admitted.session_id)
        assert row is not None
        row.state = SessionState.LIVE
        unit.session.add(row)


@pytest.mark.parametrize("again", ["identifier", "knock"])
def test_the_database_refuses_a_proof_or_a_knock_twice(plant: Plant, again: str) -> None:
    plant.admitted()
    plant.admitted()
    with pytest.raises(IntegrityError), plant.world.database.unit_of_work() as unit:
        one, two = unit.session.exec(select(UsedProofRow)).all()
        values = {"identifier_sha256": one.identifier_sha256} if again == "identifier" else {"knock_id": one.knock_id}
        changed = update(UsedProofRow).where(col(UsedProofRow.knock_id) == two.knock_id).values(**values)
        unit.session.connection().execute(changed)


def test_a_stream_takes_each_number_once_and_tells_what_it_expected(plant: Plant) -> None:
    with plant.world.database.unit_of_work() as unit:
        assert store.advance_stream(unit.session, "w1", "b1", 1) == 1
        assert store.advance_stream(unit.session, "w1", "b1", 1) is None
        assert store.advance_stream(unit.session, "w1", "b1", 5) == 2
        assert store.advance_stream(unit.session, "w1", "b1", 4) is None
        assert store.advance_stream(unit.session, "w1", "b2", 1) == 1


def test_open_sessions_are_found_by_whom_they_belong_to(plant: Plant) -> None:
    grant = plant.a_grant()
    admitted = plant.admitted(grant)
    with plant.world.database.reading() as session:
        assert [row.id for row in store.open_sessions(session, grant_id=grant.id)] == [admitted.session_id]
        assert [row.id for row in store.open_sessions(session, worker="w1")] == [admitted.session_id]
        assert store.open_sessions(session, person_id=plant.approver.id) == []
        assert store.count_open(session) == 1
