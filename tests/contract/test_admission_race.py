"""A grant is taken back at the very moment at which a connection under it is admitted: no session survives.

Real services on a real database, each side in a thread of its own, as in the running control plane.
"""

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.audit.reactions import Reactions
from broker.grants.events import GrantRevoked
from broker.kernel.errors import SallyportError
from broker.sessions.model import Admitted, OrderKind, SessionOrder, SessionState
from tests.unit.broker.sessions.plant import Client, Plant, a_plant

ROUNDS = int(os.environ.get("SALLYPORT_RACES", "200"))  # 1000 take about two minutes of CPU
DOOMED = {SessionState.CLOSING, SessionState.CLOSED}


class Gateway:
    """What a gateway learns: its sessions, which of them have a credential, and its orders."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.admitted: list[str] = []
        self.leased: list[str] = []
        self.told: list[str] = []

    def obey(self, order: SessionOrder) -> None:
        assert order.order in (OrderKind.END, OrderKind.CUT)
        self.told.append(order.session_id)

    def connect(self, client: Client) -> None:
        answer = self.plant.sessions.admit(client.connect())
        if not isinstance(answer, Admitted):
            return
        self.admitted.append(answer.session_id)
        try:
            self.plant.lease(answer)
        except SallyportError:
            return
        self.leased.append(answer.session_id)


def at_once(*acts: Callable[[], object]) -> None:
    """Run these in threads that start together, give or take what the moment brings."""
    gate = threading.Barrier(len(acts))
    faults: list[BaseException] = []

    def run(act: Callable[[], object], pause_ms: float) -> None:
        gate.wait()
        threading.Event().wait(pause_ms / 1000)
        try:
            act()
        except BaseException as fault:  # noqa: BLE001 - shown by the test's own thread
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(act, random.uniform(0, 8))) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert faults == []


@pytest.mark.parametrize("by", ["revoking", "cutting"])
def test_no_session_survives_its_grant(tmp_path: Path, by: str) -> None:
    plant = a_plant(tmp_path)
    reactions = Reactions(plant.world.database)
    reactions.subscribe(GrantRevoked, lambda event: plant.sessions.end_sessions_of_grant(event.subject, "revoked"))
    gateway = Gateway(plant)
    plant.sessions.orders.on_order(gateway.obey)
    came_first = 0
    for _ in range(ROUNDS // 2):
        grant = plant.a_grant()
        client = plant.a_client(grant)
        before = len(gateway.admitted)
        if by == "cutting":
            gateway.connect(client)
            first = gateway.admitted[-1]
            at_once(
                lambda client=client: gateway.connect(client),
                lambda first=first: plant.live.cut(plant.approver.id, first, "stop"),
            )
        else:
            at_once(
                lambda client=client: gateway.connect(client),
                lambda grant=grant: plant.grants.revoke(plant.approver.id, grant.id, "stop"),
            )
        for session_id in gateway.admitted[before:]:
            came_first += 1
            assert plant.sessions.get(session_id).record.state in DOOMED
            assert session_id in gateway.told, "a session goes on that nobody was told to end"
    assert set(gateway.leased) <= set(gateway.told)
    assert came_first > 0
    assert plant.sessions.count_open() == len(set(gateway.told))
