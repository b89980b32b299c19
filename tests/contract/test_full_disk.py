"""A file system of recordings that is really full, under the real proxy and the stock client."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.gateway.recording_care import RecordingCare
from broker.gateway.testing import lease_json
from recorder.errors import RecordingError
from recorder.frames import FrameKind
from recorder.report import State
from recorder.testing import write_sample
from recorder.verify import verify
from recorder.writer import WriterSettings
from tests.contract.ssh_rig import Rig, short_folder, sshd

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("ssh") or not Path("/usr/sbin/sshd").exists(),
    reason="needs root, ssh and sshd",
)

_MIB = 1 << 20
_OUTPUT = os.urandom(6 * _MIB)  # nothing that compression could make fit


class FullDisk:
    """A small tmpfs for recordings, and a file that fills it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.filler = folder / "filler"

    def fill(self, but_bytes: int) -> None:
        state = os.statvfs(self.folder)
        with self.filler.open("ab") as file:
            file.write(bytes(max(state.f_bavail * state.f_frsize - but_bytes, 0)))

    def empty(self) -> None:
        self.filler.unlink()

    def recording(self) -> Path:
        (path,) = self.folder.glob("*.sallyrec")
        return path


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    with short_folder() as folder:
        one = Rig(folder)
        one.care = RecordingCare(reserve_bytes=_MIB, least_free_bytes=0, sync_seconds=0.5, anchor_seconds=0.5)
        await one.start()
        (folder / "output").write_bytes(_OUTPUT)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", one.recordings], check=True)
        try:
            async with sshd(folder) as (port, host_key, login_key):
                secret = login_key.export_private_key().decode()
                one.authority.lease = lease_json("127.0.0.1", port, host_key, "root", "private_key", secret)
                async with one.running():
                    yield one
        finally:
            subprocess.run(["umount", "-l", one.recordings], check=True)


def received_is_recorded(rig: Rig, received: bytes) -> bool:
    return rig.recorded(FrameKind.OUTPUT).startswith(received)


async def test_a_session_that_finds_no_room_ends_sealed_with_every_byte_that_was_received(rig: Rig) -> None:
    disk = FullDisk(rig.recordings)
    line = await rig.command_line("plant", f"read go; cat {rig.folder}/output")
    process = await asyncio.create_subprocess_exec(
        *line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    await rig.authority.until(lambda: "session.channel.opened" in rig.authority.codes())
    disk.fill(but_bytes=0)
    out, err = await asyncio.wait_for(process.communicate(b"go\n"), 60)
    assert process.returncode == 255
    assert b"recording cannot be written" in err
    assert _OUTPUT.startswith(out)
    assert len(out) < len(_OUTPUT)
    ended = await rig.ended()
    assert ended["reason"] == "recording_full"
    assert isinstance(ended["recording"], dict)
    assert ended["recording"]["state"] == "sealed"
    assert received_is_recorded(rig, out)


async def test_a_session_that_must_wait_goes_on_without_a_gap_when_there_is_room_again(rig: Rig) -> None:
    disk = FullDisk(rig.recordings)
    rig.authority.permit["duties"] = ["record", "hold_when_full"]
    earlier = await rig.ssh("plant", "echo earlier")
    assert earlier.out == b"earlier\n"
    await rig.ended()
    kept = disk.recording().read_bytes()
    name = disk.recording().name
    running = asyncio.ensure_future(rig.ssh("plant", f"read go; cat {rig.folder}/output", data=b"go\n", wait=120))
    await rig.authority.until(lambda: rig.authority.codes().count("session.channel.opened") == 2)
    disk.fill(but_bytes=0)
    await rig.authority.until(lambda: "recordings.recording.stalled" in rig.authority.codes())
    assert not running.done()
    (path,) = [one for one in rig.recordings.glob("*.sallyrec") if one.name != name]
    size = path.stat().st_size
    await asyncio.sleep(2.5)
    assert path.stat().st_size == size  # held: nothing passes, and nothing is written
    assert not running.done()
    disk.empty()
    done = await running
    assert (done.status, done.out) == (0, _OUTPUT)
    await rig.ended(2)
    assert verify(path, signing_public=None, unseal_private=rig.authority.unseal_private).state is State.SEALED
    assert rig.recorded(FrameKind.OUTPUT) == _OUTPUT
    assert b"recording_held" in rig.recorded(FrameKind.NOTE)
    assert "recordings.recording.resumed" in rig.authority.codes()
    assert (rig.recordings / name).read_bytes() == kept  # nothing old makes room


async def test_a_held_session_can_be_cut_and_a_full_disk_lets_nobody_in(rig: Rig) -> None:
    disk = FullDisk(rig.recordings)
    rig.authority.permit["duties"] = ["record", "hold_when_full"]
    running = asyncio.ensure_future(rig.ssh("plant", f"read go; cat {rig.folder}/output", data=b"go\n", wait=120))
    await rig.authority.until(lambda: "session.channel.opened" in rig.authority.codes())
    disk.fill(but_bytes=0)
    await rig.authority.until(lambda: "recordings.recording.stalled" in rig.authority.codes())
    rig.authority.order("cut", "ses_1", "enough")
    done = await running
    assert done.status == 255
    assert b"ended by the plant: enough" in done.err
    ended = await rig.ended()
    assert ended["reason"] == "cut"
    assert verify(disk.recording(), signing_public=None).state is State.SEALED
    assert received_is_recorded(rig, done.out)
    asked = len([m for m in rig.authority.asked if m["type"] == "admit"])
    refused = await rig.ssh("plant", "true")
    assert refused.status == 255
    assert b"no room to record" in refused.err
    assert len([m for m in rig.authority.asked if m["type"] == "admit"]) == asked
    await rig.authority.until(lambda: "recordings.storage.level" in rig.authority.codes())


async def test_a_recording_at_its_bound_ends_its_session_and_heads_are_told_while_it_runs(rig: Rig) -> None:
    assert rig.gateway is not None
    around = rig.gateway.sessions.around
    assert around is not None
    object.__setattr__(around, "care", RecordingCare(reserve_bytes=_MIB, most_bytes=_MIB, anchor_seconds=0.1))
    done = await rig.ssh("plant", "while head -c 4000 /dev/urandom; do sleep 0.03; done", data=None, wait=60)
    assert done.status == 255
    assert b"has reached its bound" in done.err
    ended = await rig.ended()
    assert ended["reason"] == "recording_budget"
    (path,) = rig.recordings.glob("*.sallyrec")
    assert path.stat().st_size <= _MIB
    assert received_is_recorded(rig, done.out)
    await rig.authority.until(lambda: "recordings.recording.nearly_spent" in rig.authority.codes())
    anchors = {
        int(event["params"]["batches"]): bytes.fromhex(event["params"]["chain_sha256"])
        for event in rig.authority.events
        if isinstance(event["params"], dict) and event["code"] == "recordings.recording.anchored"
    }
    assert len(anchors) > 1
    assert verify(path, signing_public=None, anchors=anchors).state is State.SEALED
    cut = rig.folder / "cut.sallyrec"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert verify(cut, signing_public=None, anchors=anchors).kind == "truncated"


def test_a_recording_that_cannot_hold_its_room_is_no_recording() -> None:
    with short_folder() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
        try:
            with pytest.raises(RecordingError, match="could not begin"):
                write_sample(folder / "a.sallyrec", settings=WriterSettings(reserve_bytes=2 * _MIB))
            assert list(folder.iterdir()) == []
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
