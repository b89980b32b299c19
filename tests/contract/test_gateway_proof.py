"""A gateway that lies about a client, on control's real socket with real services: no permit, no lease, no secret."""

import base64
import json
import os
from pathlib import Path

import pytest

from broker.sessions.model import AdmitRequest, SessionState
from spa_knock.link.framing import encode
from tests.unit.broker.sessions.plant import SECRET, Plant, a_plant
from tests.unit.broker.sessions.test_authority import HELLO, Gateway, admit_message, lease_message, serving

Message = dict[str, object]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return a_plant(tmp_path)


class LyingGateway(Gateway):
    """Keeps every byte that control ever answers."""

    heard = b""

    async def receive(self) -> Message | None:
        message = await super().receive()
        self.heard += b"" if message is None else encode(message)
        return message


async def _liar(connect: object) -> LyingGateway:
    one: Gateway = await connect()  # type: ignore[operator]
    liar = LyingGateway(one.reader, one.writer)
    await liar.greet(HELLO)
    return liar


def _without_proof(request: AdmitRequest) -> list[Message]:
    """The same connection with the client's proof left out, in every way that a message can."""
    whole = admit_message(request)
    proof = whole["proof"]
    assert isinstance(proof, dict)
    nothing = base64.b64encode(b"").decode()
    return [
        {name: value for name, value in whole.items() if name != "proof"},
        whole | {"proof": None},
        whole | {"proof": {}},
        whole | {"proof": {"kind": "none"}},
        *({**whole, "proof": {**proof, name: nothing}} for name in proof if name.endswith("_b64")),
        whole | {"signed_knock_b64": nothing},
        whole | {"signed_knock_b64": base64.b64encode(os.urandom(176)).decode()},
        whole | {"proof": {**proof, "signature_b64": base64.b64encode(os.urandom(83)).decode()}},
    ]


async def test_a_gateway_without_the_clients_proof_gets_no_permit_and_no_lease(plant: Plant, tmp_path: Path) -> None:
    laptop = plant.a_client(plant.a_grant())
    async with serving(plant, tmp_path) as (_, connect):
        gateway = await _liar(connect)
        for number, message in enumerate(_without_proof(laptop.connect())):
            answer = await gateway.ask(message, number)
            refused = answer.get("verdict") == "deny" or answer["type"] == "failed"
            assert refused, message
            assert "permit" not in answer
            assert "session_id" not in answer
        invented = {
            "session_id": "ses_01m8fgj7vye5pafqw2akg3zj8t",
            "recording_id": "rec_1",
            "permit": {"permit_id": "p"},
        }
        assert (await gateway.ask(lease_message(invented), 99))["type"] == "failed"
        assert plant.sessions.count_open() == 0
        assert SECRET.encode() not in gateway.heard
        honest = await gateway.ask(admit_message(laptop.connect()), 100)
        assert honest["verdict"] == "allow", "the client itself is let in"


async def test_a_gateway_that_replays_a_clients_proof_gets_no_permit_and_no_second_lease(
    plant: Plant, tmp_path: Path
) -> None:
    laptop = plant.a_client(plant.a_grant())
    request = laptop.connect()
    async with serving(plant, tmp_path) as (_, connect):
        gateway = await _liar(connect)
        first = await gateway.ask(admit_message(request), 1)
        assert first["verdict"] == "allow"
        again = await gateway.ask(admit_message(request), 2)
        assert again["verdict"] == "deny"
        # With another knock of the same device, and with a new connection's identifier around the old signature.
        fresh = laptop.connect()
        knocked = admit_message(request) | {
            name: admit_message(fresh)[name] for name in ("knock_id", "signed_knock_b64")
        }
        assert (await gateway.ask(knocked, 3))["verdict"] == "deny"
        proof = admit_message(request)["proof"]
        other = admit_message(fresh)["proof"]
        assert isinstance(proof, dict)
        assert isinstance(other, dict)
        moved = admit_message(fresh) | {"proof": {**proof, "session_id_b64": other["session_id_b64"]}}
        assert (await gateway.ask(moved, 4))["verdict"] == "deny"
        lease = await gateway.ask(lease_message(first), 5)
        assert json.dumps(lease).count(SECRET) == 1
        assert (await gateway.ask(lease_message(first), 6))["type"] == "failed"
        assert gateway.heard.count(SECRET.encode()) == 1
        other_gateway = await _liar(connect)
        assert (await other_gateway.ask(lease_message(first), 7))["type"] == "failed"
    assert plant.sessions.get(str(first["session_id"])).record.state is SessionState.LIVE
    assert plant.sessions.count_open() == 1
