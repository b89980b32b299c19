"""An honest fake of control's end of the link, and builders for permits and expectations, for tests of other parts."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import asyncssh
from asyncssh.public_key import decode_ssh_certificate
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.gateway.evidence import Evidence
from broker.gateway.knocks import Expectation
from broker.policy.command_rules import CommandRules, linux_default
from recorder.numbered import Assembler, Numbered
from recorder.seal import generate_recipient
from recorder.sequence import BootKey, read_boot, read_entry
from spa_knock.link.framing import Decoder, encode
from spa_knock.wire.proof import make_proof, proof_key

Message = dict[str, object]


def a_boot_key(
    worker: str = "gateway-1", boot_id: str = "boot-1", evidence: Ed25519PrivateKey | None = None
) -> BootKey:
    """The key of one start, as a gateway makes it; without `evidence` an unknown evidence key vouches for it."""
    return Evidence(evidence or Ed25519PrivateKey.generate()).boot_key(worker, boot_id)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def permit_json(
    *, device_id: str = "dev_1", source: str = "127.0.0.1", account: str = "root", rules: CommandRules | None = None
) -> Message:
    """A permit of one hour as control sends it."""
    return {
        "permit_id": "prm_1",
        "person_id": "psn_1",
        "person_name": "Wang Wei",
        "device_id": device_id,
        "source": source,
        "target_id": "tgt_1",
        "target_name": "plc-3",
        "account": account,
        "protocol": "ssh",
        "not_after_ms": wall_ms() + 3_600_000,
        "autonomy_seconds": 300,
        "idle_seconds": 900,
        "rules": (rules or linux_default()).to_json(),
        "duties": ["record"],
        "channels": ["shell", "exec", "file_upload", "file_download"],
    }


def knock(
    *, bind: bytes = bytes(32), door: int = 2, address: str = "127.0.0.1", seconds: int = 15
) -> tuple[Expectation, bytes]:
    """An accepted knock of now from a fresh device, and the 48 bytes that its connection begins with."""
    device_key, audience, nonce = secrets.token_bytes(32), bytes(8), secrets.token_bytes(12)
    expected = Expectation(
        knock_id=nonce.hex(),
        device_id="dev_1",
        door=door,
        grant_id="grt_1" if door != 1 else None,
        address=address,
        bind=bind,
        proof_key=proof_key(device_key, audience, nonce),
        signed_knock=bytes(176),
        mark=7,
        expires_at_ms=wall_ms() + seconds * 1000,
    )
    return expected, make_proof(device_key, audience, nonce, door)


def expect_message(expected: Expectation) -> Message:
    """The guard's `expect` for this knock."""
    return {
        "type": "expect",
        "knock_id": expected.knock_id,
        "device_id": expected.device_id,
        "door": expected.door,
        "grant_id": expected.grant_id,
        "address": expected.address,
        "bind_hex": expected.bind.hex(),
        "proof_key_b64": base64.b64encode(expected.proof_key).decode(),
        "signed_knock_b64": base64.b64encode(expected.signed_knock).decode(),
        "mark": expected.mark,
        "expires_at_ms": expected.expires_at_ms,
    }


class WatchedLine:
    """One watch's connection, as control sees it. Clear `reads` and nothing is read."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.position = 0
        self.frames: list[Numbered] = []
        self.ended: str | None = None
        self.reads = asyncio.Event()
        self.reads.set()
        self._assembler = Assembler()
        self._writer = writer

    def take(self, message: Message) -> None:
        match message["type"]:
            case "watching":
                self.position = int(str(message["position"]))
            case "watch_ended":
                self.ended = str(message["reason"])
            case _:
                self.frames += self._assembler.feed(message)

    def here(self) -> None:
        """Says that somebody watches."""
        self._writer.write(encode({"type": "here"}))

    def leave(self) -> None:
        self._writer.transport.abort()


class FakeAuthority:
    """Control's end of the `authority` socket. It checks the client's proof as control must, and keeps what it is told.

    Change `permit`, `lease`, `deny` or `answer_hold` before a session to change what control says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.permit = permit_json()
        self.lease: Message = {}
        self.deny: tuple[str, str] | None = None
        self.answer_hold = "refuse"
        self.before_admit: Callable[[], None] = lambda: None
        self.unseal_private, self.unseal_public = generate_recipient()
        self.unmask_publics: list[bytes] = []
        self.asked: list[Message] = []
        self.ended: list[Message] = []
        self.events: list[Message] = []
        self.seen: list[tuple[object, object]] = []
        self.silent = False
        self.watches: dict[str, WatchedLine] = {}
        self.changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._sessions = 0

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._connected, self.path)

    async def stop(self) -> None:
        """As when control is restarted: the socket and every link go away."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        self.path.unlink(missing_ok=True)
        await asyncio.sleep(0)

    def order(self, kind: str, session_id: str, reason: str = "", epoch: int = 1, watch_id: str = "") -> None:
        message = {"type": "order", "order": kind, "session_id": session_id, "reason": reason, "epoch": epoch}
        if watch_id:
            message["watch_id"] = watch_id
        for writer in self._writers:
            writer.write(encode(message))

    def codes(self) -> list[str]:
        """The codes of all events reported so far."""
        return [str(event["code"]) for event in self.events]

    async def until(self, ready: Callable[[], bool], timeout_seconds: float = 10.0) -> None:
        """Waits until something that was told makes `ready` true. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds), self.changed:
            await self.changed.wait_for(ready)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        decoder = Decoder()
        try:
            while data := await reader.read(65_536):
                for message in decoder.feed(data):
                    if message["type"] != "ping":
                        self.asked.append(message)
                    if message["type"] in ("watching", "watch_ended"):
                        await self._watch(message, decoder, reader, writer)
                        return
                    if self.silent:
                        continue
                    if message["type"] == "hello":
                        writer.write(encode({"type": "welcome"}))
                    else:
                        writer.write(encode({**self._answer(message), "id": message["id"]}))
                async with self.changed:
                    self.changed.notify_all()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _watch(
        self, hello: Message, decoder: Decoder, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        line = WatchedLine(writer)
        self.watches[str(hello["watch_id"])] = line
        line.take(hello)
        while True:
            await line.reads.wait()
            async with self.changed:
                self.changed.notify_all()
            data = await reader.read(65_536)
            if not data:
                line.ended = line.ended or "closed"
                break
            for message in decoder.feed(data):
                line.take(message)
        async with self.changed:
            self.changed.notify_all()

    def _answer(self, message: Message) -> Message:
        match message["type"]:
            case "ping":
                return {"type": "answer"}
            case "admit":
                return self._admit(message)
            case "lease":
                return {"type": "answer", **self.lease}
            case "hold":
                return {"type": "answer", "decision": self.answer_hold}
            case "renew":
                return {"type": "answer", "not_after_ms": self.permit["not_after_ms"]}
            case "spooled":
                return self._take(message)
            case other:
                return {"type": "failed", "code": "unknown", "message": str(other)}

    def _take(self, message: Message) -> Message:
        boot, entry = read_boot(message["boot"]), read_entry(message["entry"])
        entry.check(boot)
        payload = json.loads(entry.payload)
        if (entry.boot_id, entry.seq) not in self.seen:
            self.seen.append((entry.boot_id, entry.seq))
            if payload["type"] == "ended":
                self.ended.append(payload)
            elif payload["type"] == "report":
                self.events += [{**event, "session_id": payload["session_id"]} for event in payload["events"]]
        return {"type": "answer"}

    def _admit(self, message: Message) -> Message:
        self.before_admit()
        if self.deny is not None:
            return {"type": "answer", "verdict": "deny", "code": self.deny[0], "message": self.deny[1]}
        proof = message["proof"]
        assert isinstance(proof, dict)  # noqa: S101
        parts = {name: base64.b64decode(value) for name, value in proof.items() if name.endswith("_b64")}
        certificate = decode_ssh_certificate(parts["certificate_b64"])
        if not certificate.key.verify(parts["signed_data_b64"], parts["signature_b64"]):
            return {"type": "answer", "verdict": "deny", "code": "bad_proof", "message": "The proof does not hold."}
        if not parts["signed_data_b64"][4:].startswith(parts["session_id_b64"]):
            return {"type": "answer", "verdict": "deny", "code": "bad_proof", "message": "Another session's proof."}
        self._sessions += 1
        return {
            "type": "answer",
            "verdict": "allow",
            "session_id": f"ses_{self._sessions}",
            "recording_id": f"rec_{self._sessions}_{secrets.token_hex(4)}",
            "permit": {**self.permit, "source": message["source"], "device_id": message["device_id"]},
            "recording": {
                "unseal_public_b64": base64.b64encode(self.unseal_public).decode(),
                "unmask_publics_b64": [base64.b64encode(one).decode() for one in self.unmask_publics],
            },
        }


def lease_json(address: str, port: int, host_key: asyncssh.SSHKey, account: str, kind: str, secret: str) -> Message:
    """A lease as control answers it."""
    return {
        "lease_id": "lse_1",
        "address": address,
        "port": port,
        "host_key": host_key.export_public_key().decode().strip(),
        "account": account,
        "credential": {"kind": kind, "secret": secret},
    }
