"""The plant's hand on running sessions, through the real gateway with stock ssh: cut, hold, message, watch; with and
without a control plane. Control is played by an honest fake behind the real link, root by this process."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.app import host_cut
from broker.gateway.testing import WatchedLine, lease_json
from recorder.frames import FrameKind
from tests.contract.ssh_rig import Rig, TerminalProcess, short_folder, sshd

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("ssh") or not Path("/usr/sbin/sshd").exists(),
    reason="needs root, ssh and sshd",
)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    with short_folder() as folder:
        one = Rig(folder)
        await one.start()
        async with sshd(folder) as (port, host_key, login_key):
            secret = login_key.export_private_key().decode()
            one.authority.lease = lease_json("127.0.0.1", port, host_key, "root", "private_key", secret)
            async with one.running():
                yield one


async def watched(rig: Rig, watch_id: str = "wch_1", session_id: str = "ses_1") -> WatchedLine:
    """A watch that has begun."""
    rig.authority.order("watch", session_id, "Zhang", watch_id=watch_id)
    await rig.authority.until(lambda: watch_id in rig.authority.watches)
    return rig.authority.watches[watch_id]


async def quiet(shell: TerminalProcess, pattern: bytes, seconds: float = 0.6) -> None:
    """Nothing like this is shown for a while."""
    with pytest.raises(TimeoutError):
        await shell.see(pattern, seconds)


async def test_a_cut_shows_why_and_both_legs_are_gone_within_a_second(rig: Rig) -> None:
    marker = rig.folder / "beats"
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        shell.type(f"while sleep 0.05; do date +%s.%N >> {marker}; done\r".encode())
        await shell.see(rb"done\r\n")
        await asyncio.sleep(0.3)
        ordered_at = time.time()
        rig.authority.order("cut", "ses_1", "smoke in hall 3")
        await shell.see(rb"ended by the plant: smoke in hall 3", 1)
        assert await shell.end(1) == 255
    assert time.time() - ordered_at < 1
    ended = await rig.ended()
    assert ended["reason"] == "cut"
    await asyncio.sleep(0.3)
    assert float(marker.read_text().split()[-1]) - ordered_at < 1
    note = rig.recorded(FrameKind.NOTE)
    assert b"smoke in hall 3" in note


def connections_at(port: int) -> int:
    """The connections that this host's own end at this port has, whatever their state but closed."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ends = [line.split()[1:4] for line in lines]
    return sum(local.endswith(f":{port:04X}") and state != "0A" for local, _, state in ends)


async def test_a_cut_takes_the_leg_of_a_client_that_reads_nothing_any_more(rig: Rig) -> None:
    line = await rig.command_line("plant", "yes")
    process = await asyncio.create_subprocess_exec(
        *line, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, stdin=asyncio.subprocess.DEVNULL
    )
    await rig.authority.until(lambda: any(m["type"] == "lease" for m in rig.authority.asked))
    await asyncio.sleep(0.3)
    process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(1)  # every buffer on the way is full by now
        assert connections_at(rig.port) == 1
        ordered_at = time.monotonic()
        rig.authority.order("cut", "ses_1", "stop")
        assert (await rig.ended())["reason"] == "cut"
        while connections_at(rig.port):
            await asyncio.sleep(0.02)
        assert time.monotonic() - ordered_at < 1
    finally:
        process.kill()
        await process.wait()


async def test_held_input_waits_output_runs_and_all_of_it_is_recorded(rig: Rig) -> None:
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        shell.type(b"for i in 1 2 3 4 5 6 7 8; do sleep 0.3; echo beat-$i; done\r")
        await shell.see(rb"beat-1\r\n")
        rig.authority.order("freeze", "ses_1", "come to hall 3", epoch=2)
        await shell.see(rb"The plant holds your input: come to hall 3")
        shell.type(b"echo typed-$((40+2))\r")
        await shell.see(rb"beat-8\r\n")
        await quiet(shell, rb"typed-42")
        rig.authority.order("thaw", "ses_1", "", epoch=1)
        await quiet(shell, rb"typed-42", 0.3)
        rig.authority.order("thaw", "ses_1", "", epoch=3)
        await shell.see(rb"The session goes on.*typed-42\r\n")
        shell.type(b"exit\r")
        await shell.end()
    await rig.ended()
    frames = rig.frames()
    frozen = next(at for at, frame in enumerate(frames) if b'"kind": "frozen"' in frame.data)
    thawed = next(at for at, frame in enumerate(frames) if b'"kind": "thawed"' in frame.data)
    kinds = {frame.kind for frame in frames[frozen:thawed]}
    assert FrameKind.OUTPUT in kinds
    assert FrameKind.INPUT not in kinds


async def test_a_command_of_a_session_that_is_held_waits(rig: Rig) -> None:
    rig.authority.before_admit = lambda: rig.authority.order("freeze", "ses_1", "one moment", epoch=2)
    running = asyncio.create_task(rig.ssh("plant", "echo ran"))
    await asyncio.sleep(1.5)
    assert not running.done()
    rig.authority.order("thaw", "ses_1", "", epoch=3)
    done = await running
    assert (done.status, done.out) == (0, b"ran\n")
    assert b"The plant holds your input: one moment" in done.err


async def test_a_line_from_the_plant_appears_and_is_recorded(rig: Rig) -> None:
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        rig.authority.order("message", "ses_1", "请停止 the pump\x1b[2J")
        await shell.see("Message from the plant: 请停止 the pump ".encode())
        shell.type(b"exit\r")
        await shell.end()
    await rig.ended()
    assert "请停止".encode() in rig.recorded(FrameKind.NOTE)


async def test_a_session_that_must_be_watched_waits_for_a_watcher_and_holds_when_he_leaves(rig: Rig) -> None:
    rig.authority.permit["duties"] = ["record", "watched"]
    async with rig.terminal("plant") as shell:
        await shell.see(rb"held until somebody at the plant watches")
        await quiet(shell, rb"# $")
        line = await watched(rig)
        await quiet(shell, rb"# $", 0.3)  # a line alone is nobody who looks
        line.here()
        await shell.see(rb"# $")
        shell.type(b"echo one-$((1+1))\r")
        await shell.see(rb"one-2\r\n")
        line.leave()
        await shell.see(rb"held until somebody at the plant watches")
        shell.type(b"echo two-$((1+1))\r")
        await quiet(shell, rb"two-2")
        (await watched(rig, "wch_2")).here()
        await shell.see(rb"two-2\r\n")
        await rig.authority.stop()
        await shell.see(rb"control is away", 2)
        shell.type(b"echo three-$((1+1))\r")
        await quiet(shell, rb"three-2")
        await rig.authority.start()
        await quiet(shell, rb"three-2", 1.5)
        (await watched(rig, "wch_3")).here()
        await shell.see(rb"three-2\r\n")


async def test_a_watch_has_no_gap_under_load_and_a_slow_one_slows_nobody(rig: Rig) -> None:
    rig.authority.before_admit = lambda: None
    process = asyncio.create_task(
        rig.ssh("plant", "sleep 1; for i in $(seq 1 40); do head -c 500000 /dev/urandom; sleep 0.01; done", wait=60)
    )
    await rig.authority.until(lambda: any(m["type"] == "lease" for m in rig.authority.asked))
    await asyncio.sleep(0.3)
    fast, slow = await watched(rig, "wch_fast"), await watched(rig, "wch_slow")
    for line in (fast, slow):
        line.here()
    slow.reads.clear()

    async def stay() -> None:
        while True:
            await asyncio.sleep(1)
            for line in (fast, slow):
                line.here()

    staying = asyncio.create_task(stay())
    done = await process
    staying.cancel()
    assert (done.status, len(done.out)) == (0, 20_000_000)
    slow.reads.set()
    await rig.ended()
    await rig.authority.until(lambda: fast.ended is not None and slow.ended is not None)
    on_file = rig.frames()
    assert [one.number for one in fast.frames] == list(range(fast.position + 1, len(on_file) + 1))
    assert [one.frame for one in fast.frames] == on_file[fast.position :]
    assert fast.ended == "session_ended"
    assert [one.number for one in slow.frames] == list(range(slow.position + 1, slow.position + 1 + len(slow.frames)))
    assert len(slow.frames) < len(fast.frames)


async def test_root_cuts_without_control_and_the_trail_has_it_once_when_control_is_back(rig: Rig) -> None:
    path = rig.folder / "cut.sock"
    async with rig.terminal("plant") as shell:
        await shell.see(rb"# $")
        await rig.authority.stop()
        await asyncio.sleep(0.1)
        (shown,) = await asyncio.to_thread(host_cut.running, path)
        assert (shown.session_id, shown.person, shown.target) == ("ses_1", "Wang Wei", "plc-3")
        assert await asyncio.to_thread(host_cut.cut, path, "ses_1", "smoke in hall 3") == ["ses_1"]
        await shell.see(rb"ended by the plant: smoke in hall 3", 1)
        assert await shell.end(1) == 255
    assert await asyncio.to_thread(host_cut.running, path) == []
    assert rig.authority.codes().count("session.session.cut_on_host") == 0
    for _ in range(3):  # control comes and goes before and after it has the report
        await rig.authority.start()
        await rig.ended()
        await rig.authority.stop()
        await asyncio.sleep(0.1)
    await rig.authority.start()
    refused = await rig.ssh("plant", "true")
    assert b"The plant has ended this access." in refused.err
    (report,) = [event for event in rig.authority.events if event["code"] == "session.session.cut_on_host"]
    assert (report["session_id"], report["params"]) == ("ses_1", {"reason": "smoke in hall 3", "operator": "root"})
    assert [one["reason"] for one in rig.authority.ended if one["session_id"] == "ses_1"] == ["cut"]
    assert [seq for _, seq in rig.authority.seen] == sorted({seq for _, seq in rig.authority.seen})


async def test_nobody_but_root_may_cut_here(rig: Rig) -> None:
    probe = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        'm=b\'{"v":1,"type":"list"}\'; s.sendall(len(m).to_bytes(4,\'big\')+m); print(len(s.recv(100)))'
    )
    rig.folder.chmod(0o755)
    (rig.folder / "cut.sock").chmod(0o666)
    command = ["setpriv", "--reuid=61186", "--clear-groups", "/usr/bin/python3", "-c", probe]
    process = await asyncio.create_subprocess_exec(
        *command, str(rig.folder / "cut.sock"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 10)
    assert out == b"0\n" or b"ConnectionResetError" in err or b"BrokenPipeError" in err
