"""kill -9 of a gateway's spool at random moments: nothing that was kept is lost, counted twice, or takes for cut.

Each life is a process of its own that keeps events and hands them to control, and dies by SIGKILL while it does so.
`SALLYPORT_SPOOL_KILLS` (default 40) is how many lives; `SALLYPORT_SEED` repeats the moments of an earlier run.
"""

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from broker.gateway import spool as module
from broker.gateway.spool import Spool
from broker.gateway.testing import a_boot_key
from broker.sessions.spooled import signed
from tests.contract import postgres as servers
from tests.unit.broker.sessions.plant import EVIDENCE_KEY, GATEWAY, Plant, a_plant

postgres, database_url = servers.postgres, servers.database_url
LIVES = int(os.environ.get("SALLYPORT_SPOOL_KILLS", "40"))
SEED = int(os.environ.get("SALLYPORT_SEED", str(random.SystemRandom().randrange(1 << 32))))
ALARMS = {"gateway.report.gap", "gateway.sequence.cut", "gateway.entry.refused"}


def _live(path: Path, life: int, say: TextIO, hear: TextIO) -> None:
    """Keeps numbered events without end, and hands over the oldest whenever control has answered the one before."""
    module._COMPACT_BYTES = 4_000  # type: ignore[misc]
    spool = Spool(path, a_boot_key("w1", f"life-{life}", EVIDENCE_KEY))
    number = 0
    while True:
        number += 1
        event = {"code": "gateway.test", "at_ms": 1, "params": {"life": life, "n": number}}
        spool.add({"type": "report", "session_id": None, "events": [event]})
        print(json.dumps({"kept": [life, number]}), file=say, flush=True)
        for _ in range(number % 4):
            first = spool.first()
            if first is None:
                break
            spool.sync()
            print(json.dumps({"spooled": first.to_json()}), file=say, flush=True)
            hear.readline()
            spool.done(first)


def _one_life(plant: Plant, path: Path, life: int, moments: random.Random) -> list[list[int]]:
    """The numbers that this life said it had kept before it was killed."""
    (up_read, up_write), (down_read, down_write) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _live(path, life, os.fdopen(up_write, "w"), os.fdopen(down_read))
        finally:
            os._exit(1)
    os.close(up_write)
    os.close(down_read)
    kept: list[list[int]] = []
    left = moments.randrange(25)
    with os.fdopen(up_read) as hear:
        for line in hear:
            left -= 1
            if left < 0:
                time.sleep(moments.random() / 500)
                os.kill(child, signal.SIGKILL)
            if not line.endswith("\n"):
                break
            message = json.loads(line)
            if "kept" in message:
                kept.append(message["kept"])
                continue
            plant.reports.spooled(GATEWAY, signed(message["spooled"]))
            with contextlib.suppress(BrokenPipeError):
                os.write(down_write, b"taken\n")
    os.close(down_write)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return kept


@pytest.fixture
def plant(tmp_path: Path, database_url: str) -> Iterator[Plant]:
    plant = a_plant(tmp_path, database_url)
    yield plant
    plant.world.database.close()


def test_nothing_that_was_kept_is_lost_however_often_the_gateway_is_killed(plant: Plant, tmp_path: Path) -> None:
    print(f"SALLYPORT_SEED={SEED}")
    moments = random.Random(SEED)
    path = tmp_path / "spool.jsonl"
    kept: list[list[int]] = []
    for life in range(LIVES):
        kept += _one_life(plant, path, life, moments)
    last = Spool(path, a_boot_key("w1", "last", EVIDENCE_KEY))
    while (one := last.first()) is not None:
        plant.reports.spooled(GATEWAY, signed(json.loads(json.dumps(one.to_json()))))
        last.done(one)
    last.close()
    trail = plant.world.trail()
    details = [json.loads(str(one.params["details"])) for one in trail if one.params.get("event") == "gateway.test"]
    heard = [[one["life"], one["n"]] for one in details]
    assert heard == sorted(heard)
    assert len({tuple(one) for one in heard}) == len(heard)
    assert {tuple(one) for one in kept} <= {tuple(one) for one in heard}
    assert [one.code for one in trail if one.code in ALARMS] == []
    starts = [one.params["boot_id"] for one in trail if one.code == "gateway.worker.started"]
    assert starts == [boot for boot in [*(f"life-{life}" for life in range(LIVES)), "last"] if boot in starts]
    assert len(kept) > LIVES
