from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from broker.access_requests import store
from broker.access_requests.model import Notice, RequestState
from broker.access_requests.store import AccessApprovalRow
from broker.identities.model import Role
from broker.identities.testing import NOON
from tests.unit.broker.access_requests.test_service import WISH, submitted
from tests.unit.broker.sessions.plant import Plant


def test_a_request_is_read_as_it_was_written(plant: Plant) -> None:
    view = submitted(plant)
    with plant.world.database.reading() as session:
        assert store.get(session, view.request.id) == view.request
        assert store.get(session, "req_x") is None
        assert store.count_of_person(session, plant.engineer.id, RequestState.SUBMITTED) == 1
        assert store.count_of_person(session, plant.approver.id) == 0
        assert store.last_source(session, plant.approver.id) is None


def test_pages_go_from_the_newest_back(plant: Plant) -> None:
    ids = []
    for _ in range(3):
        ids.append(submitted(plant).request.id)
        plant.pass_time(seconds=1)
    with plant.world.database.reading() as session:
        first = store.newest(session, limit=2)
        rest = store.newest(session, limit=2, before_id=first[-1].id)
        assert store.newest(session, limit=5, state=RequestState.DENIED) == []
    assert [request.id for request in (*first, *rest)] == ids[::-1]


def test_the_database_lets_nobody_approve_twice(plant: Plant) -> None:
    view = submitted(plant)
    plant.requests.approve(plant.approver.id, view.request.id, timedelta(hours=1))
    with pytest.raises(IntegrityError), plant.world.database.unit_of_work() as unit:
        unit.session.add(
            AccessApprovalRow(
                request_id=view.request.id,
                approver_id=plant.approver.id,
                at=plant.world.clock.now(),
                duration_seconds=1,
            )
        )


def test_notices_are_kept_in_order() -> None:
    kept = store.notices_json([Notice("b"), Notice("a", "1")])
    assert kept == '[["b", null], ["a", "1"]]'


def test_the_database_takes_approvals_from_plant_administrators_only(plant: Plant) -> None:
    request = plant.requests.submit(plant.asker, plant.target.name, "maint", WISH).request
    for role in set(Role) - {Role.PLANT_ADMIN}:
        somebody = plant.world.somebody(role)
        with pytest.raises(IntegrityError), plant.world.database.unit_of_work() as unit:
            unit.session.add(_approval(request.id, somebody.id))
    with pytest.raises(IntegrityError), plant.world.database.unit_of_work() as unit:
        unit.session.add(_approval(request.id, plant.engineer.id))


def _approval(request_id: str, approver_id: str) -> AccessApprovalRow:
    return AccessApprovalRow(request_id=request_id, approver_id=approver_id, at=NOON, duration_seconds=60)
