"""What recording costs and what it gives, in ratios of one run on one machine.

    ./dev shell -m bench.recorder [--events N] [--megabytes N] [--rounds N] [--kills N] [--skip PART]…

Parts: `gateway` (pty output through the real gateway, recorded against the same gateway with the writer left out),
`size` (bytes against asciicast and gzip), `verify`, `seek` (the console's long replay in Chromium), `kills` (the kill
loop of the contract tests). Needs root, ssh, sshd; `seek` needs Chromium and a built console.
"""

import argparse
import asyncio
import gzip
import logging
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from broker.gateway.recording_care import RecordingCare
from broker.gateway.session_recording import SessionRecording
from broker.gateway.testing import lease_json
from recorder.cast import to_asciicast_v2
from recorder.frames import Frame, FrameKind
from recorder.indexing import make_index
from recorder.keyframes import Index, events_of
from recorder.replay import Recording, open_recording
from recorder.report import State
from recorder.seal import generate_recipient
from recorder.testing import NOW_MS, sample_header
from recorder.verify import verify
from recorder.writer import RecordingWriter
from tests.contract.ssh_rig import Rig, sshd

PARTS: Final = ("gateway", "size", "verify", "seek", "kills")
HOURS_US: Final = 8 * 3600 * 1_000_000
ROOT: Final = Path(__file__).parents[1]


def say(part: str, what: str) -> None:
    print(f"{part:8} {what}", flush=True)


# -- through the gateway


async def through_gateway(megabytes: int, rounds: int) -> None:
    """Seconds from the first to the last byte of pty output at the stock client, the two kinds in turn."""
    real = SessionRecording.append
    with tempfile.TemporaryDirectory(prefix="sp-", dir="/tmp") as name:
        folder = Path(name)
        rig = Rig(folder)
        rig.care = RecordingCare(least_free_bytes=0)
        text = folder / "text"
        with text.open("wb") as file:
            while file.tell() < megabytes * 1_000_000:
                file.write(
                    b"%08d 2026-11-27 12:00:00 press 7 temperature 21.5 pressure 6.2 state running\n" % file.tell()
                )
        await rig.start()
        async with sshd(folder) as (port, host_key, login_key):
            secret = login_key.export_private_key().decode()
            rig.authority.lease = lease_json("127.0.0.1", port, host_key, "root", "private_key", secret)
            async with rig.running():
                seconds: dict[str, list[float]] = {"recorded": [], "unrecorded": []}
                for one in range(rounds * 2 + 1):
                    kind = "recorded" if one % 2 else "unrecorded"
                    unrecorded: Any = lambda self, frames: frames  # noqa: E731 - stands in for one method
                    SessionRecording.append = real if kind == "recorded" else unrecorded  # type: ignore[method-assign]
                    try:
                        took = await _one_run(rig, text, megabytes * 1_000_000)
                    finally:
                        SessionRecording.append = real  # type: ignore[method-assign]
                    if one:  # the first one warms up
                        seconds[kind].append(took)
    rates = {kind: megabytes / statistics.median(found) for kind, found in seconds.items()}
    ratio = rates["recorded"] / rates["unrecorded"]
    say("gateway", f"pty output, median of {rounds}: recorded {rates['recorded']:.1f} MB/s, "
        f"unrecorded {rates['unrecorded']:.1f} MB/s, ratio {ratio:.2f} (aim 0.90)")  # fmt: skip


async def _one_run(rig: Rig, text: Path, size: int) -> float:
    line = await rig.command_line("-tt", "plant", f"cat {text}; exit")
    process = await asyncio.create_subprocess_exec(
        *line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    await process.stdout.read(1)
    started = time.perf_counter()
    total = 1
    while data := await process.stdout.read(1 << 20):
        total += len(data)
    took = time.perf_counter() - started
    await process.wait()
    assert total >= size, "output is missing"
    return took


# -- a long recording


def a_shift(events: int) -> Iterator[Frame]:
    """Eight hours of work at a terminal; every event says its number, so that a screen can be told right from wrong."""
    chance = random.Random(8)  # noqa: S311 - the same shift every time
    step = HOURS_US // events
    for number in range(events):
        text = f"event {number:07d} 设备 {chance.randrange(40)} 温度 {chance.uniform(18, 90):.1f} ℃"
        end = "\r\n" if number % 7 else "\x1b[K\r\n\x1b[32mok\x1b[m\r\n"
        yield Frame(FrameKind.OUTPUT, 0, number * step, (text + end).encode())


def write_shift(path: Path, frames: Iterator[Frame]) -> bytes:
    private, public = generate_recipient()
    writer = RecordingWriter.create(
        path, header=sample_header(), recipient_public=public, now_ms=NOW_MS, random=os.urandom
    )
    for frame in frames:
        writer.append([frame])
    writer.seal("session_ended", NOW_MS)
    return private


def sizes(path: Path, private: bytes) -> None:
    recording = open_recording(path, private)
    cast = "".join(to_asciicast_v2(recording.header, recording.frames())).encode()
    packed = len(gzip.compress(cast, 6))
    ours = path.stat().st_size
    say(
        "size",
        f"one event a batch: ours {ours:,} B = {ours / len(cast):.2f} of asciicast, {ours / packed:.2f} of its gzip",
    )
    with tempfile.TemporaryDirectory() as folder:
        bulk = Path(folder) / "bulk.sallyrec"
        frames = list(recording.frames())[:200_000]
        data = b"".join(frame.data for frame in frames)
        pieces = [Frame(FrameKind.OUTPUT, 0, at, data[at : at + 32_768]) for at in range(0, len(data), 32_768)]
        write_shift(bulk, iter(pieces))
        cast = "".join(to_asciicast_v2(recording.header, iter(pieces))).encode()
        ours, packed = bulk.stat().st_size, len(gzip.compress(cast, 6))
        say(
            "size",
            f"bulk of 32 kB a batch: ours {ours:,} B = {ours / len(cast):.2f} of asciicast, "
            f"{ours / packed:.2f} of its gzip",
        )


def verifying(path: Path) -> None:
    for name, source in (("one event a batch", path), ("bulk, 32 kB of noise a batch", None)):
        with tempfile.TemporaryDirectory() as folder:
            if source is None:
                source = Path(folder) / "noise.sallyrec"
                write_shift(source, (Frame(FrameKind.OUTPUT, 0, at, os.urandom(32_768)) for at in range(4_000)))
            started = time.perf_counter()
            report = verify(source, signing_public=None)
            took = time.perf_counter() - started
            assert report.state is State.SEALED
            rate = report.bytes / took / 1e6
            say("verify", f"{name}: {rate:.0f} MB/s, {took / report.batches * 1e6:.0f} µs a batch")


# -- a jump in the browser


class Shift:
    """The stand-in's long recording, answered by the real index and file."""

    def __init__(self, recording: Recording, index: Index) -> None:
        self._recording, self._index = recording, index
        self.served: list[float] = []

    def timeline(self) -> object:
        from tests.e2e.web import fake_models as m

        index = self._index
        return m.Times(
            state="ready",
            created_at_ms=NOW_MS,
            columns=index.columns,
            rows=index.rows,
            duration_ms=index.duration_us // 1000,
            chunks=[one.at_us // 1000 for one in index.keyframes],
            silences=[],
        )

    def chunk(self, number: int) -> object:
        from broker.recordings.replaying import _between
        from tests.e2e.web import fake_models as m

        started = time.perf_counter()
        keyframes = self._index.keyframes
        begin = keyframes[number]
        end = keyframes[number + 1].first_frame if number + 1 < len(keyframes) else self._index.frames + 1
        events = events_of(_between(self._recording, begin, end), begin.programs)
        found = m.Chunk(
            at_ms=begin.at_us // 1000,
            columns=begin.columns,
            rows=begin.rows,
            screen=begin.text,
            events=[(one.at_us // 1000, "o" if one.code == "o" else "r", one.text) for one in events],
        )
        self.served.append(time.perf_counter() - started)
        return found


def seeking(path: Path, private: bytes, events: int, jumps: int = 40) -> None:
    import uvicorn
    from playwright.sync_api import sync_playwright

    from tests.e2e.web.conftest import CHROMIUM, DIST, FLAGS
    from tests.e2e.web.console import Console
    from tests.e2e.web.fake_api import create_app
    from tests.e2e.web.fake_house import House, build

    recording = open_recording(path, private)
    started = time.perf_counter()
    index = make_index(recording)
    say("seek", f"index of {index.frames:,} events: {time.perf_counter() - started:.0f} s once, "
        f"{len(index.keyframes)} keyframes, {len(index.to_bytes()) / 1e6:.1f} MB before sealing")  # fmt: skip
    house: House = build()
    shift: Any = Shift(recording, index)
    house.long = shift
    house.recordings["rec_2"] = house.recordings["rec_2"].model_copy(update={"bytes": path.stat().st_size + 4_000_001})
    app = create_app(DIST)
    app.state.house = house
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    step_ms = HOURS_US // events / 1000
    took: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        console = Console(page, f"http://localhost:{listener.getsockname()[1]}", "en")
        console.sign_in("audit", "/recordings/rec_2")
        page.get_by_text("event 0000000").wait_for()
        rail = page.locator(".ant-slider").first
        box = rail.bounding_box()
        assert box is not None
        chance = random.Random(5)  # noqa: S311 - the same jumps every time
        for _ in range(jumps):
            x = box["x"] + 5 + chance.random() * (box["width"] - 10)
            begun = time.perf_counter()
            page.mouse.click(x, box["y"] + box["height"] / 2)
            moment = int(page.locator("[data-raw-ms]").get_attribute("data-raw-ms") or "0")
            wanted = min(int((moment + 0.5) // step_ms), events - 1)
            page.get_by_text(re.compile(f"event {wanted:07d}")).first.wait_for(timeout=20_000)
            took.append(time.perf_counter() - begun)
            newest = page.get_by_text(f"event {wanted + 2:07d}").count()
            assert newest == 0, "the screen is of a later moment"
        browser.close()
    server.should_exit = True
    thread.join(timeout=5)
    took.sort()
    serve = statistics.median(shift.served) * 1000
    say("seek", f"{jumps} jumps in Chromium, click to right screen: median {statistics.median(took) * 1000:.0f} ms, "
        f"95 % {took[int(jumps * 0.95) - 1] * 1000:.0f} ms, worst {took[-1] * 1000:.0f} ms;"
        f" a chunk is read in {serve:.0f} ms")  # fmt: skip


def kills(count: int) -> None:
    test = ROOT / "tests" / "contract" / "test_gateway_kills.py"
    if not test.exists():
        say("kills", "not there: tests/contract/test_gateway_kills.py")
        return
    environment = {**os.environ, "SALLYPORT_KILLS": str(count)}
    command = [sys.executable, "-m", "pytest", str(test), "-q", "-s", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    say("kills", f"status {done.returncode}: {' | '.join(lines[-3:])}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.recorder", description="Ratios of recording, in one run.")
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the eight-hour recording")
    parser.add_argument("--megabytes", type=int, default=24, help="pty output of one run through the gateway")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind through the gateway")
    parser.add_argument("--kills", type=int, default=100, help="kills of the gateway under load")
    parser.add_argument("--skip", action="append", default=[], choices=PARTS)
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    say("run", f"{datetime.now(UTC):%F %T} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    folder = Path(tempfile.mkdtemp(prefix="bench-recorder-"))
    try:
        if "gateway" not in options.skip:
            asyncio.run(through_gateway(options.megabytes, options.rounds))
        if {"size", "verify", "seek"} - set(options.skip):
            path = folder / "shift.sallyrec"
            started = time.perf_counter()
            private = write_shift(path, a_shift(options.events))
            each = (time.perf_counter() - started) / options.events * 1e6
            say("write", f"{options.events:,} events in {path.stat().st_size / 1e6:.0f} MB, {each:.0f} µs an event")
            if "size" not in options.skip:
                sizes(path, private)
            if "verify" not in options.skip:
                verifying(path)
            if "seek" not in options.skip:
                seeking(path, private, options.events)
        if "kills" not in options.skip:
            kills(options.kills)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
