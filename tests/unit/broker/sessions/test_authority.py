import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.gateway import authority as client
from broker.gateway.permits import Admission, Denial
from broker.gateway.probing import ProbeOrder as GatewayProbeOrder
from broker.gateway.probing import read_order
from broker.gateway.spool import Spool
from broker.gateway.testing import a_boot_key
from broker.sessions.authority import AuthorityServer
from broker.sessions.model import AdmitRequest, ProbeOrder, SessionState
from spa_knock.link.framing import Decoder, encode
from tests.unit.broker.sessions.plant import EVIDENCE_KEY, SECRET, Plant

HELLO: dict[str, object] = {"type": "hello", "version": 1, "worker": "w1", "boot_id": "boot-1", "sessions": []}


class Gateway:
    """The gateway's end of the link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.decoder = reader, writer, Decoder()
        self.waiting: list[dict[str, object]] = []

    def send(self, message: dict[str, object]) -> None:
        self.writer.write(encode(message))

    async def receive(self) -> dict[str, object] | None:
        """The next message, or None when the link was closed."""
        async with asyncio.timeout(10):
            while not self.waiting:
                try:
                    data = await self.reader.read(65_536)
                except ConnectionResetError:
                    return None
                if not data:
                    return None
                self.waiting += self.decoder.feed(data)
        return self.waiting.pop(0)

    async def greet(self, hello: dict[str, object]) -> None:
        self.send(hello)
        answer = await self.receive()
        assert answer is not None
        assert answer["type"] == "welcome"

    async def ask(self, message: dict[str, object], number: int = 1) -> dict[str, object]:
        self.send({**message, "id": number})
        answer = await self.receive()
        assert answer is not None
        assert answer["id"] == number
        return answer


Connect = Callable[[], Awaitable[Gateway]]


@asynccontextmanager
async def serving(
    plant: Plant, folder: Path, *, uid: int | None = None, missing_seconds: float = 30
) -> AsyncIterator[tuple[AuthorityServer, Connect]]:
    server = AuthorityServer(
        plant.sessions,
        plant.reports,
        plant.world.clock,
        watching=plant.watching,
        peer_uid=os.getuid() if uid is None else uid,
        missing_seconds=missing_seconds,
    )
    path = folder / "authority.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    task = asyncio.create_task(server.serve(listener))
    gateways: list[Gateway] = []

    async def connect() -> Gateway:
        gateways.append(Gateway(*await asyncio.open_unix_connection(path)))
        return gateways[-1]

    try:
        yield server, connect
    finally:
        for gateway in gateways:
            gateway.writer.transport.abort()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def admit_message(request: AdmitRequest) -> dict[str, object]:
    def b64(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return {
        "type": "admit",
        "protocol": request.protocol,
        "knock_id": request.knock_id,
        "device_id": request.device_id,
        "grant_id": request.grant_id,
        "source": request.source,
        "source_port": request.source_port,
        "username": request.username,
        "signed_knock_b64": b64(request.signed_knock),
        "proof": {
            "kind": "ssh-userauth",
            "certificate_b64": b64(request.proof.certificate),
            "signed_data_b64": b64(request.proof.signed_data),
            "signature_b64": b64(request.proof.signature),
            "session_id_b64": b64(request.proof.session_identifier),
        },
    }


def lease_message(admitted: dict[str, object]) -> dict[str, object]:
    permit = admitted["permit"]
    assert isinstance(permit, dict)
    return {
        "type": "lease",
        "session_id": admitted["session_id"],
        "permit_id": permit["permit_id"],
        "recording": {
            "signing_public_b64": base64.b64encode(bytes(32)).decode(),
            "header_sha256_hex": "00" * 32,
            "path": f"/recordings/{admitted['recording_id']}.sallyrec",
        },
    }


async def test_a_session_is_admitted_leased_reported_and_ended_over_the_link(plant: Plant, tmp_path: Path) -> None:
    laptop = plant.a_client(plant.a_grant())
    async with serving(plant, tmp_path) as (_, connect):
        gateway = await connect()
        await gateway.greet(HELLO)
        admitted = await gateway.ask(admit_message(laptop.connect()))
        assert admitted["verdict"] == "allow"
        lease = await gateway.ask(lease_message(admitted), 2)
        assert lease["credential"] == {"kind": "password", "secret": SECRET}
        again = await gateway.ask(lease_message(admitted), 3)
        assert (again["type"], again["code"]) == ("failed", "sessions.not_in_state")
        session_id = admitted["session_id"]
        renewed = await gateway.ask({"type": "renew", "session_id": session_id}, 4)
        assert renewed["not_after_ms"] == admitted["permit"]["not_after_ms"]  # type: ignore[index]
        hold = {"type": "hold", "session_id": session_id, "rule_id": "r", "command": "c"}
        assert (await gateway.ask(hold, 5))["decision"] == "refuse"
        event = {"code": "session.command.blocked", "at_ms": 1, "params": {"rule_id": "r", "text": "rm"}}
        report = {"type": "report", "session_id": session_id, "boot_id": "boot-1", "seq": 1, "events": [event]}
        assert (await gateway.ask(report, 6))["type"] == "answer"
        end = {
            "type": "ended",
            "session_id": session_id,
            "boot_id": "boot-1",
            "seq": 2,
            "reason": "client_left",
            "ended_at_ms": 1,
            "recording": None,
            "exit_status": None,
        }
        assert (await gateway.ask(end, 7))["type"] == "answer"
        assert (await gateway.ask(end, 8))["type"] == "answer"
    record = plant.sessions.get(str(session_id)).record
    assert (record.state, record.commands_blocked) == (SessionState.CLOSED, 1)
    assert plant.codes().count("sessions.session.ended") == 1


async def test_what_is_not_understood_is_answered_as_failed_and_the_link_stays(plant: Plant, tmp_path: Path) -> None:
    async with serving(plant, tmp_path) as (_, connect):
        gateway = await connect()
        await gateway.greet(HELLO)
        for number, message in enumerate(({"type": "bark"}, {"type": "admit"}, {"type": "lease"}, {"type": "ended"})):
            answer = await gateway.ask(dict(message), number)
            assert (answer["type"], answer["code"]) == ("failed", "invalid")
        unknown = await gateway.ask({"type": "renew", "session_id": "ses_x"}, 9)
        assert unknown["code"] == "not_found"


async def test_a_hello_is_welcomed_and_a_ping_answered_while_the_database_is_away(plant: Plant, tmp_path: Path) -> None:
    async with serving(plant, tmp_path) as (_, connect):
        gateway = await connect()
        await gateway.greet(HELLO)
        plant.world.database.close()
        plant.world.database.engine.dispose()
        assert (await gateway.ask({"type": "ping"}, 7))["type"] == "answer"


async def test_what_a_ping_announces_is_missed_when_the_next_start_does_not_have_it(
    plant: Plant, tmp_path: Path
) -> None:
    path = tmp_path / "spool"
    first = Spool(path, a_boot_key("w1", "boot-1", EVIDENCE_KEY))
    async with serving(plant, tmp_path) as (_, connect):
        gateway = await connect()
        await gateway.greet(HELLO)
        began = first.first()
        assert began is not None
        assert (await gateway.ask({"type": "spooled", **began.to_json()}))["type"] == "answer"
        cut = path.read_bytes()
        first.add({"type": "report", "session_id": None, "events": []})
        announced = {"type": "ping", "boot_id": "boot-1", "seq": first.newest_seq}
        assert (await gateway.ask(announced, 2))["type"] == "answer"
        first.close()
        path.write_bytes(cut)
        second = Spool(path, a_boot_key("w1", "boot-2", EVIDENCE_KEY))
        for number in range(3, 3 + len(second)):
            entry = second.first()
            assert entry is not None
            assert (await gateway.ask({"type": "spooled", **entry.to_json()}, number))["type"] == "answer"
            second.done(entry)
        second.close()
    (told,) = [one for one in plant.world.trail() if one.code == "gateway.sequence.cut"]
    assert (told.params["known_boot_id"], told.params["known_seq"]) == ("boot-1", 2)


async def test_an_entry_that_is_refused_is_answered_with_its_code(plant: Plant, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", a_boot_key("w1", "boot-1"))
    entry = spool.first()
    assert entry is not None
    async with serving(plant, tmp_path) as (_, connect):
        gateway = await connect()
        await gateway.greet(HELLO | {"version": 2})
        answer = await gateway.ask({"type": "spooled", **entry.to_json()})
        assert (answer["type"], answer["code"]) == ("failed", "sessions.entry_refused")
        broken = await gateway.ask({"type": "spooled", "boot": {}, "entry": {}}, 2)
        assert broken["code"] == "invalid"
    spool.close()


async def test_a_fault_on_our_side_is_answered_without_its_words(plant: Plant, tmp_path: Path) -> None:
    async with serving(plant, tmp_path) as (_, connect):
        gateway = await connect()
        await gateway.greet(HELLO)
        await gateway.ask({"type": "renew", "session_id": "ses_x"})
        plant.world.database.close()
        plant.world.database.engine.dispose()
        (tmp_path / "sallyport.db").unlink()
        (tmp_path / "sallyport.db").mkdir()
        answer = await gateway.ask({"type": "renew", "session_id": "ses_x"}, 2)
        assert (answer["type"], answer["code"]) == ("failed", "internal")
        assert "sqlite" not in str(answer).lower()


async def test_another_user_id_is_not_heard(plant: Plant, tmp_path: Path) -> None:
    async with serving(plant, tmp_path, uid=os.getuid() + 1) as (server, connect):
        gateway = await connect()
        gateway.send(HELLO)
        assert await gateway.receive() is None
        assert server.workers == frozenset()


@pytest.mark.parametrize("first", [{"type": "admit"}, HELLO | {"version": 3}])
async def test_who_does_not_say_hello_is_not_heard(plant: Plant, tmp_path: Path, first: dict[str, object]) -> None:
    async with serving(plant, tmp_path) as (_, connect):
        gateway = await connect()
        gateway.send(first)
        assert await gateway.receive() is None


async def test_broken_framing_ends_the_link(plant: Plant, tmp_path: Path) -> None:
    async with serving(plant, tmp_path) as (server, connect):
        gateway = await connect()
        await gateway.greet(HELLO)
        await gateway.ask({"type": "renew", "session_id": "ses_x"})
        gateway.writer.write(b"\xff\xff\xff\xff")
        assert await gateway.receive() is None
        await until(lambda: server.workers == frozenset())


async def test_orders_reach_the_worker_of_their_session_from_any_thread(plant: Plant, tmp_path: Path) -> None:
    admitted = plant.admitted()
    async with serving(plant, tmp_path) as (server, connect):
        other = await connect()
        await other.greet(HELLO | {"worker": "w2"})
        gateway = await connect()
        await gateway.greet(HELLO | {"sessions": [admitted.session_id]})
        await until(lambda: server.workers == {"w1", "w2"})
        await asyncio.to_thread(plant.sessions.end_sessions_of_device, plant.laptop.device.id, "device_suspended")
        order = await gateway.receive()
        assert order is not None
        assert (order["order"], order["session_id"], order["reason"]) == (
            "end",
            admitted.session_id,
            "device_suspended",
        )
        assert (await other.ask({"type": "renew", "session_id": "ses_x"}))["type"] == "failed"


async def test_an_order_that_nobody_heard_is_told_at_the_next_hello(plant: Plant, tmp_path: Path) -> None:
    admitted = plant.admitted()
    async with serving(plant, tmp_path) as (_, connect):
        plant.sessions.order_end(admitted.session_id, "grant_revoked")
        gateway = await connect()
        await gateway.greet(HELLO | {"sessions": [admitted.session_id]})
        order = await gateway.receive()
        assert order is not None
        assert (order["session_id"], order["reason"]) == (admitted.session_id, "grant_revoked")


async def test_a_new_link_of_a_worker_takes_the_place_of_the_old_one(plant: Plant, tmp_path: Path) -> None:
    async with serving(plant, tmp_path) as (server, connect):
        old = await connect()
        await old.greet(HELLO)
        await old.ask({"type": "renew", "session_id": "ses_x"})
        new = await connect()
        await new.greet(HELLO | {"boot_id": "boot-2"})
        assert (await new.ask({"type": "renew", "session_id": "ses_x"}))["type"] == "failed"
        assert await old.receive() is None
        assert server.workers == {"w1"}


async def test_sessions_that_a_gateway_does_not_hold_any_more_are_closed_after_a_while(
    plant: Plant, tmp_path: Path
) -> None:
    admitted = plant.admitted()
    plant.pass_time(seconds=1)
    async with serving(plant, tmp_path, missing_seconds=0.05) as (_, connect):
        gateway = await connect()
        await gateway.greet(HELLO)
        await until(lambda: plant.sessions.get(admitted.session_id).record.state is SessionState.CLOSED)


async def test_the_gateways_own_client_speaks_this_link(plant: Plant, tmp_path: Path) -> None:
    wanted = plant.a_client(plant.a_grant()).connect()
    orders: list[client.Order] = []
    spool = Spool(tmp_path / "spool", a_boot_key("w1", "boot-1", EVIDENCE_KEY))

    def heard(order: client.Order) -> bool:
        orders.append(order)
        return True

    async with serving(plant, tmp_path):
        gateway = client.Authority(
            tmp_path / "authority.sock",
            spool,
            worker="w1",
            boot_id="boot-1",
            sessions=list,
            on_order=heard,
            on_change=lambda _: None,
        )
        running = asyncio.create_task(gateway.run())
        await until(lambda: gateway.is_up)
        proof = client.SshProof(
            wanted.proof.certificate, wanted.proof.signed_data, wanted.proof.signature, wanted.proof.session_identifier
        )
        asked = client.AdmitRequest(
            protocol="ssh",
            knock_id=wanted.knock_id,
            device_id=wanted.device_id,
            grant_id=wanted.grant_id,
            source=wanted.source,
            source_port=wanted.source_port,
            username=wanted.username,
            signed_knock=wanted.signed_knock,
            proof=proof,
        )
        admission = await gateway.admit(asked)
        assert isinstance(admission, Admission)
        assert admission.unseal_public == plant.unseal_public
        again = await gateway.admit(asked)
        assert isinstance(again, Denial)
        assert again.code == "sessions.proof_used"
        lease = await gateway.lease(
            admission.session_id,
            admission.permit.permit_id,
            signing_public=bytes(32),
            header_sha256=bytes(32),
            path=f"{admission.recording_id}.sallyrec",
        )
        assert lease.secret.reveal() == SECRET
        assert await gateway.renew(admission.session_id) == admission.permit.not_after_ms
        assert await gateway.hold(admission.session_id, "r", "c") is False
        await asyncio.to_thread(plant.sessions.order_end, admission.session_id, "grant_revoked")
        await until(lambda: bool(orders))
        assert (orders[0].kind, orders[0].session_id) == (client.OrderKind.END, admission.session_id)
        gateway.report(admission.session_id, "session.command.blocked", {"rule_id": "r7", "text": "rm -rf /srv/data"})
        broken = client.RecordingFacts("broken", 1, 1, 10, bytes(32), b"", 1)
        gateway.ended(admission.session_id, "grant_revoked", broken, None)
        await until(lambda: len(spool) == 0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    spool.close()
    record = plant.sessions.get(admission.session_id).record
    assert (record.state, record.end_reason, record.commands_blocked) == (SessionState.CLOSED, "grant_revoked", 1)
    assert "recordings.recording.broken" in plant.codes()


async def test_an_order_to_test_a_connection_goes_to_its_worker_only(plant: Plant, tmp_path: Path) -> None:
    async with serving(plant, tmp_path) as (server, connect):
        first, second = await connect(), await connect()
        for gateway, worker in ((first, "w1"), (second, "w2")):
            gateway.send({**HELLO, "worker": worker})
        await until(lambda: server.workers == {"w1", "w2"})
        for worker in ("w3", "w2"):
            server.order_probe(ProbeOrder("prb_1", worker, "ssh", "10.20.0.4", 22, "ssh-ed25519", 10))
        order = await probe_order_of(second)
        assert read_order(order) == GatewayProbeOrder("prb_1", "ssh", "10.20.0.4", 22, "ssh-ed25519", 10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await probe_order_of(first)


async def test_an_order_to_remove_or_let_go_goes_to_its_worker(plant: Plant, tmp_path: Path) -> None:
    async with serving(plant, tmp_path) as (server, connect):
        gateway = await connect()
        gateway.send({**HELLO, "worker": "w1"})
        await until(lambda: server.workers == {"w1"})
        server.order_removal("w2", b"{lost}")
        server.order_removal("w1", '{"reason":"旧"}'.encode())
        while (message := await gateway.receive()) is not None and message.get("order") != "remove":
            pass
        assert message is not None
        assert message["tombstone"] == '{"reason":"旧"}'
        server.order_release("w1", b"{receipt}")
        while (message := await gateway.receive()) is not None and message.get("order") != "release":
            pass
        assert message is not None
        assert message["receipt"] == "{receipt}"


async def probe_order_of(gateway: Gateway) -> dict[str, object]:
    while True:
        message = await gateway.receive()
        assert message is not None
        if message.get("order") == "probe":
            return message
