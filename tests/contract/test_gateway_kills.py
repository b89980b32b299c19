"""kill -9 of the gateway at random moments under load: what a peer received is in the recording, and no end is lost.

Each life of the gateway is a process of its own that dies by SIGKILL while stock ssh clients come in, open, type and
copy through it to a real sshd. What arrived at a peer is read from files that the target and the clients wrote.

`SALLYPORT_KILLS` (default 200) is how many lives; `SALLYPORT_KILLS=5000 ./dev shell -m pytest
tests/contract/test_gateway_kills.py -s` is a soak. `SALLYPORT_SEED` repeats the moments of an earlier run.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.gateway.testing import lease_json
from recorder.errors import RecordingError
from recorder.frames import FrameKind
from recorder.replay import open_recording
from recorder.report import State
from recorder.verify import verify
from tests.contract.ssh_rig import Rig, short_folder, sshd

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("ssh") or not Path("/usr/sbin/sshd").exists(),
    reason="needs root, ssh and sshd",
)

LIVES = int(os.environ.get("SALLYPORT_KILLS", "200"))
_CLIENTS = 2
_ROOT = Path(__file__).parents[2]
_LOAD = secrets.token_bytes(6_000_000)
_TOKEN = re.compile(rb"tee got-([0-9a-f]{12})")


@dataclass(frozen=True)
class Client:
    """One stock ssh whose input goes to a file on the target and back to a file of the client."""

    token: str
    process: asyncio.subprocess.Process
    typing: threading.Thread


class MortalRig(Rig):
    """The rig with a gateway that is a process: `start_life` and `kill` as often as wanted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.pid = 0
        self.nursery: asyncio.subprocess.Process | None = None

    @contextlib.asynccontextmanager
    async def nursing(self) -> AsyncIterator["MortalRig"]:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        knocks = socket.socket(socket.AF_UNIX)
        knocks.bind(str(self.folder / "knocks.sock"))
        knocks.listen()
        given = {"folder": str(self.folder), "ssh": listener.fileno(), "knocks": knocks.fileno()}
        self.nursery = await asyncio.create_subprocess_exec(
            *(sys.executable, str(Path(__file__).with_name("gateway_nursery.py")), json.dumps(given)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(listener.fileno(), knocks.fileno()),
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        try:
            await self.said(b"nursery")
            yield self
        finally:
            if self.pid:
                await self.kill()
            self.nursery.kill()
            await self.nursery.wait()
            if self.guard is not None:
                self.guard[1].transport.abort()
            await self.authority.stop()
            listener.close()
            knocks.close()

    async def said(self, word: bytes) -> bytes:
        """The nursery's next line that begins so; what the gateways log goes by."""
        assert self.nursery is not None
        assert self.nursery.stdout is not None
        async with asyncio.timeout(60):
            while line := await self.nursery.stdout.readline():
                if line.startswith(word):
                    return line
        raise AssertionError("the nursery died")

    async def start_life(self) -> None:
        """The next gateway, up to its open doors, with the guard's link to it."""
        assert self.nursery is not None
        assert self.nursery.stdin is not None
        hellos = self.hellos
        self.nursery.stdin.write(b"next\n")
        self.pid = int((await self.said(b"ready ")).split()[1])
        if self.guard is not None:
            self.guard[1].transport.abort()
        self.guard = await asyncio.open_unix_connection(self.folder / "knocks.sock")
        await self.authority.until(lambda: self.hellos > hellos, 60)

    async def kill(self) -> None:
        """SIGKILL, and wait until the kernel has closed everything, as a supervisor does before it starts another."""
        pid, self.pid = self.pid, 0
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            while Path(f"/proc/{pid}").exists():
                await asyncio.sleep(0.005)

    async def somebody_receives(self, clients: list[Client]) -> None:
        """Until bytes of one of these clients have come to the target."""
        files = [self.folder / "work" / f"got-{client.token}" for client in clients]
        async with asyncio.timeout(60):
            while not any(path.exists() and path.stat().st_size for path in files):
                await asyncio.sleep(0.01)

    @property
    def hellos(self) -> int:
        return sum(message["type"] == "hello" for message in self.authority.asked)

    async def client(self, *, typed: bool) -> Client:
        """Stock ssh, copying at full speed or typing in small pieces."""
        token = secrets.token_hex(6)
        line = await self.command_line("plant", f"cd {self.folder}/work && tee got-{token}")
        hear, speak = os.pipe()
        with (self.folder / "work" / f"back-{token}").open("wb") as back:
            process = await asyncio.create_subprocess_exec(*line, stdin=hear, stdout=back, stderr=subprocess.DEVNULL)
        os.close(hear)
        typing = threading.Thread(target=_feed, args=(speak,), kwargs={"typed": typed})
        typing.start()
        return Client(token, process, typing)


def _feed(speak: int, *, typed: bool) -> None:
    """Until the client is gone."""
    at = 0
    with os.fdopen(speak, "wb", buffering=0) as client, contextlib.suppress(BrokenPipeError):
        while at < len(_LOAD):
            at += client.write(_LOAD[at : at + (random.randint(1, 60) if typed else 65_536)])
            if typed:
                time.sleep(random.uniform(0, 0.004))


@pytest.fixture
async def rig() -> AsyncIterator[MortalRig]:
    with short_folder() as folder:
        (folder / "work").mkdir()
        one = MortalRig(folder)
        await one.start()
        async with sshd(folder) as (port, host_key, login_key):
            secret = login_key.export_private_key().decode()
            one.authority.lease = lease_json("127.0.0.1", port, host_key, "root", "private_key", secret)
            async with one.nursing():
                yield one


async def test_what_a_peer_received_before_a_kill_is_recorded_and_no_end_is_lost(rig: MortalRig) -> None:
    seed = int(os.environ.get("SALLYPORT_SEED", str(secrets.randbits(32))))
    random.seed(seed)
    print(f"SALLYPORT_SEED={seed}")
    started, told = time.monotonic(), Counter[str]()
    await rig.start_life()
    for life in range(LIVES):
        clients = [await rig.client(typed=bool((life + number) % 2)) for number in range(_CLIENTS)]
        if random.random() < 0.3:
            await asyncio.sleep(random.uniform(0.0, 0.6))  # in the handshakes, the lease, the dialling
        else:
            await rig.somebody_receives(clients)
            await asyncio.sleep(random.uniform(0.0, 0.2))
        await rig.kill()
        await rig.start_life()
        told += await _judged(rig, clients)
    print(f"{LIVES} kills in {time.monotonic() - started:.0f} s: {dict(told)}")
    assert told["with bytes at the target"] > LIVES // 8, "the kills came too early to prove anything"
    assert told["with bytes at the client"] > LIVES // 8, "the kills came too early to prove anything"
    await _no_number_is_missing(rig)


async def _judged(rig: MortalRig, clients: list[Client]) -> Counter[str]:
    """Holds a dead gateway's recordings against what its peers have; the next one has marked them by now."""
    for client in clients:
        async with asyncio.timeout(60):
            with contextlib.suppress(ProcessLookupError):
                client.process.terminate()
            await client.process.wait()
        await asyncio.to_thread(client.typing.join, 60)
    await _settled(rig.folder / "work")
    told = Counter[str]()
    recorded: dict[str, tuple[bytes, bytes]] = {}
    for path in sorted(rig.recordings.iterdir()):
        if path.stat().st_size == 0:
            told["without a header"] += 1
        else:
            token, inputs, outputs, state = _read(rig, path)
            told[state] += 1
            if token:
                recorded[token] = (inputs, outputs)
            if state == State.BROKEN.value:
                await rig.authority.until(lambda path=path: _was_told(rig, path), 60)  # type: ignore[misc]
        path.unlink()
    for client in clients:
        at_target, at_client = (rig.folder / "work" / f"{side}-{client.token}" for side in ("got", "back"))
        inputs, outputs = recorded.get(client.token, (b"", b""))
        for name, path, known in (("target", at_target, inputs), ("client", at_client, outputs)):
            got = path.read_bytes() if path.exists() else b""
            is_recorded, is_true = (
                known.startswith(got),
                _LOAD.startswith(got),
            )  # not in the assert: pytest would show it
            assert is_recorded, f"the {name} got {len(got)} bytes, the recording holds {len(known)} or others"
            assert is_true
            told[f"with bytes at the {name}"] += bool(got)
            path.unlink(missing_ok=True)
    return told


def _read(rig: MortalRig, path: Path) -> tuple[str, bytes, bytes, str]:
    """A recording's token, input and output, after it verified as far as it goes and was seen to have an end."""
    public = rig.evidence.public_key().public_bytes_raw()
    report = verify(path, signing_public=None, evidence_public=public)
    assert report.first_bad_batch is None, report
    assert report.state in (State.SEALED, State.BROKEN), report
    parts: dict[FrameKind, list[bytes]] = defaultdict(list)
    try:
        for frame in open_recording(path, rig.authority.unseal_private).frames():
            parts[frame.kind].append(frame.data)
    except RecordingError as error:
        raise AssertionError(f"{path.name} cannot be read: {error}") from error
    token = _TOKEN.search(b"".join(parts[FrameKind.EXEC]))
    inputs, outputs = b"".join(parts[FrameKind.INPUT]), b"".join(parts[FrameKind.OUTPUT])
    return token.group(1).decode() if token else "", inputs, outputs, report.state.value


def _was_told(rig: MortalRig, path: Path) -> bool:
    """Whether control heard of the end of the session to which a recording belongs."""
    asked = [m for m in rig.authority.asked if m["type"] == "lease"]
    owners = [
        m["session_id"] for m in asked if isinstance(m["recording"], dict) and m["recording"]["path"] == path.name
    ]
    return not owners or any(one["session_id"] in owners for one in rig.authority.ended)


async def _settled(folder: Path) -> None:
    """Until the target's programs have noticed that their input is over."""
    async with asyncio.timeout(60):
        while _at_work(folder):
            await asyncio.sleep(0.02)


def _at_work(folder: Path) -> bool:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink() == folder:
                    return True
    return False


async def _no_number_is_missing(rig: MortalRig) -> None:
    """What every life told of came once and without a gap."""
    await asyncio.sleep(0.5)
    numbers: dict[object, list[int]] = defaultdict(list)
    for boot_id, seq in rig.authority.seen:
        assert isinstance(seq, int)
        numbers[boot_id].append(seq)
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values()), numbers
    ends = Counter(one["session_id"] for one in rig.authority.ended)
    assert [one for one, count in ends.items() if count > 1] == []
