"""One maintenance job from the request to the sealed recording, on every store, and across a restart of the server."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

import broker.app.tables  # noqa: F401 - a whole site is verified: its database has every table
from broker.access_requests.model import RequestState, Wish
from broker.app.verification import Scope, verify
from broker.audit import chain
from broker.audit.witness import Witness
from broker.audit.witness import read as read_witness
from broker.grants.model import GrantState
from broker.kernel.errors import SallyportError
from broker.recordings.files import file_name_of
from broker.recordings.model import Finding, OpenedFacts, RecordingState
from broker.sessions.model import Admitted, SessionState
from tests.contract import postgres as servers
from tests.contract.postgres import Postgres
from tests.unit.broker.recordings.files import open_recording_of, seal
from tests.unit.broker.sessions.plant import GATEWAY, SECRET, Plant, a_plant

postgres, database_url = servers.postgres, servers.database_url


@pytest.fixture
def plant(tmp_path: Path, database_url: str) -> Iterator[Plant]:
    made = a_plant(tmp_path, database_url)
    yield made
    made.world.database.close()


@pytest.fixture
def served(tmp_path: Path, postgres: Postgres) -> Iterator[Plant]:
    made = a_plant(tmp_path, postgres.new_database())
    yield made
    made.world.database.close()


def _job(plant: Plant, between: Callable[[], None]) -> None:
    """Every step of the main job; `between` happens before each."""
    wish = Wish("pump 3 stands still", "WO-1", None, timedelta(hours=2))
    asked = plant.requests.submit(plant.asker, plant.target.name, "maint", wish)
    between()
    approved = plant.requests.approve(plant.approver.id, asked.request.id, None)
    assert approved.request.state is RequestState.APPROVED
    between()
    grant = plant.grants.issue(asked.request.id)
    assert plant.grants.issue(asked.request.id) == grant
    between()
    client = plant.a_client(grant)
    between()
    connection = client.connect()
    admitted = plant.sessions.admit(connection)
    assert isinstance(admitted, Admitted), admitted
    between()
    again = plant.sessions.admit(connection)
    assert not isinstance(again, Admitted)
    lease = plant.lease(admitted)
    assert lease.secret.reveal() == SECRET
    between()
    with pytest.raises(SallyportError):
        plant.lease(admitted)
    assert plant.sessions.get(admitted.session_id).record.state is SessionState.LIVE
    assert plant.grants.get(grant.id).grant.state is GrantState.ACTIVE


def _holds(plant: Plant) -> chain.Verified:
    result = chain.verify(plant.world.trail())
    assert isinstance(result, chain.Verified), result
    return result


def test_a_job_from_the_request_to_the_lease(plant: Plant) -> None:
    _job(plant, lambda: None)
    told = [code for code in plant.codes() if code.startswith(("access.", "grants.", "sessions."))]
    assert told[:5] == [
        "access.request.submitted",
        "access.request.approved",
        "grants.grant.issued",
        "grants.certificate.issued",
        "sessions.session.admitted",
    ]
    _holds(plant)


def test_a_session_ends_with_a_sealed_recording_whose_head_is_on_the_trail(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    for _ in range(2):  # the gateway's spool delivers at least once
        if not _is_closed(plant, recorded.session_id):
            seal(plant, recorded)
    view = plant.sessions.get(recorded.session_id)
    assert (view.record.state, view.record.end_reason) == (SessionState.CLOSED, "client_left")
    details = plant.recordings.details(recorded.recording_id)
    assert details.recording.state is RecordingState.SEALED
    assert details.verification.finding is Finding.VERIFIED
    (head,) = [one.params["head_sha256"] for one in plant.world.trail() if one.code == "recordings.recording.sealed"]
    assert details.recording.head_sha256 is not None
    assert head == details.recording.head_sha256.hex()
    _holds(plant)


def test_what_a_session_leaves_is_verified_and_a_changed_trail_is_named(plant: Plant, tmp_path: Path) -> None:
    key, path = Ed25519PrivateKey.generate(), tmp_path / "checkpoints.jsonl"
    seal(plant, open_recording_of(plant))
    Witness(plant.world.database, plant.world.clock, site="north", path=path, key=key).conclude()
    with path.open("rb") as lines:
        witnessed = read_witness(lines, key.public_key(), "north")
    scope = Scope(plant.recordings_dir, None, witnessed)
    findings = verify(plant.world.database, scope)
    assert (findings.exit_code, findings.bad) == (0, [])
    with plant.world.database.unit_of_work() as unit:
        unit.session.connection().execute(text("UPDATE audit_events SET subject = 'psn_nobody' WHERE seq = 3"))
    findings = verify(plant.world.database, scope)
    assert (findings.exit_code, findings.bad[0].kind, findings.bad[0].place) == (1, "altered", "record 3")


def _is_closed(plant: Plant, session_id: str) -> bool:
    return plant.sessions.get(session_id).record.state is SessionState.CLOSED


def _race(*racers: Callable[[], object]) -> list[object]:
    """What each of them got, or the refusal, when all start at once."""
    start, results = threading.Barrier(len(racers)), []

    def run(racer: Callable[[], object]) -> None:
        start.wait(10)
        try:
            results.append(racer())
        except SallyportError as refusal:
            results.append(refusal)

    threads = [threading.Thread(target=run, args=(racer,)) for racer in racers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == len(racers)
    return results


def test_what_can_be_used_once_is_used_once_by_two_at_the_same_time(plant: Plant) -> None:
    wish = Wish("pump 3 stands still", "WO-1", None, timedelta(hours=2))
    asked = plant.requests.submit(plant.asker, plant.target.name, "maint", wish)
    _race(*[lambda: plant.requests.approve(plant.approver.id, asked.request.id, None)] * 3)
    grants = _race(*[lambda: plant.grants.issue(asked.request.id)] * 3)
    assert len({grant.id for grant in grants}) == 1  # type: ignore[attr-defined]
    grant = plant.grants.issue(asked.request.id)

    connection = plant.a_client(grant).connect()
    answers = _race(*[lambda: plant.sessions.admit(connection)] * 3)
    (admitted,) = [answer for answer in answers if isinstance(answer, Admitted)]

    def lease() -> object:
        return plant.sessions.lease(
            GATEWAY,
            admitted.session_id,
            admitted.verdict.permit.permit_id,
            OpenedFacts(bytes(32), bytes(32)),
            str(plant.recordings_dir / file_name_of(admitted.recording_id)),
        )

    leases = _race(lease, lease, lease)
    assert sum(isinstance(one, SallyportError) for one in leases) == 2
    codes = plant.codes()
    for once in ("access.request.approved", "grants.grant.issued", "sessions.session.admitted"):
        assert codes.count(once) == 1, once
    _holds(plant)


def test_a_server_that_restarts_between_any_two_steps_loses_nothing(served: Plant, postgres: Postgres) -> None:
    restarts: list[str] = []

    def restart() -> None:
        mode = ("fast", "immediate")[len(restarts) % 2]
        before = served.world.trail()
        postgres.stop(mode)
        with pytest.raises(OperationalError):
            served.sessions.count_open()
        postgres.start()
        assert served.world.trail() == before
        restarts.append(mode)

    _job(served, restart)
    assert len(restarts) == 6
    _holds(served)
