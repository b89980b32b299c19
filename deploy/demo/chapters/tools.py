"""Files and channels by the tools that every engineer has: scp, sftp, and several channels over one connection."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from deploy.demo import acts, wires
from deploy.demo.acts import NAME
from deploy.demo.people import KELLER, WU, Person
from deploy.demo.plant_api import text_of
from deploy.demo.stage import Stage
from deploy.demo.target import DATA_DIR
from deploy.demo.workstation import Desk

_BYTES = 300_000
_MUX = ("-o", "ControlPath=~/.ssh/press")
_CHANNELS = 3


def stock_tools(stage: Stage) -> None:
    """Files go both ways by scp and sftp, compared and accounted for; several channels share one connection."""
    keller = stage.site.people[KELLER]
    desk = stage.desk(keller)
    settings = desk.run(["ssh", "-G", NAME]).stdout.splitlines()
    stage.prove(
        f"'{NAME}' is all an engineer types: no jump host, no forwarded agent, no key file",
        holds=not any(line.startswith(("proxyjump", "forwardagent yes")) for line in settings),
        found=settings,
    )
    _scp_both_ways(stage, desk)
    _sftp_both_ways(stage, desk)
    _one_connection(stage, keller)


def _scp_both_ways(stage: Stage, desk: Desk) -> None:
    sent = _make_file(desk, "firmware.bin")
    up = desk.run(["scp", "-q", "firmware.bin", f"{NAME}:{DATA_DIR}/firmware.bin"])
    arrived = _digest(stage.target.data_dir / "firmware.bin")
    stage.prove(f"scp: {_BYTES} bytes arrive on the target as they were sent", holds=arrived == sent, found=up.stderr)
    down = desk.run(["scp", "-q", f"{NAME}:{DATA_DIR}/recipes.csv", "recipes.csv"])
    same = _digest(desk.home / "recipes.csv") == _digest(stage.target.data_dir / "recipes.csv")
    stage.prove("scp: a file of the target arrives here as it is there", holds=same, found=down.stderr)
    _accounted_for(stage, {sent: "up", _digest(stage.target.data_dir / "recipes.csv"): "down"})


def _sftp_both_ways(stage: Stage, desk: Desk) -> None:
    sent = _make_file(desk, "parameters.bin")
    script = f"put parameters.bin {DATA_DIR}/parameters.bin\nget {DATA_DIR}/parameters.bin back.bin\n"
    done = desk.run(["sftp", "-q", "-b", "-", NAME], text=script)
    there, back = _digest(stage.target.data_dir / "parameters.bin"), _digest(desk.home / "back.bin")
    stage.prove("sftp: the same, there and back again", holds={sent} == {there, back}, found=done.stderr)
    _accounted_for(stage, {sent: "up"})
    _accounted_for(stage, {sent: "down"})
    replaced = desk.run(["sftp", "-q", "-b", "-", NAME], text=f"rm {DATA_DIR}/recipes.csv\n")
    stays = (stage.target.data_dir / "recipes.csv").exists()
    stage.prove("a protected file is not removed by sftp either", holds=replaced.returncode != 0 and stays)
    for name in ("firmware.bin", "parameters.bin"):
        (stage.target.data_dir / name).unlink()


def _accounted_for(stage: Stage, wanted: dict[str, str]) -> None:
    """Prove that the trail tells these files (SHA-256 to direction) as moved completely."""
    wu = stage.console_of(stage.site.people[WU])

    def told() -> set[tuple[object, object]]:
        items = wu.items("/audit/events?limit=50&code=sessions.file.transferred")
        params = [item["params"] for item in items]
        return {(one["sha256"], one["direction"]) for one in params if isinstance(one, dict) and one["complete"]}

    found = wires.await_true(told, lambda seen: set(wanted.items()) <= seen)
    names = " and ".join(sorted(wanted.values()))
    stage.prove(
        f"the trail tells the way {names} with the file's SHA-256", holds=set(wanted.items()) <= found, found=found
    )


def _one_connection(stage: Stage, keller: Person) -> None:
    desk = stage.desk(keller)
    mux = ["ssh", *_MUX]
    with acts.terminal(desk, [*mux, "-o", "ControlMaster=yes", NAME]) as shell:
        shell.expect(acts.PROMPT, 60)
        session_id = acts.live_session(stage, keller)
        commands = [acts.started(desk, [*mux, NAME, f"sleep 1; echo channel-{number}"]) for number in range(_CHANNELS)]
        copied = desk.run(["scp", "-q", *_MUX, f"{NAME}:{DATA_DIR}/axis5-parameters.ini", "axis5.ini"])
        told = [command.communicate(timeout=60)[0].strip() for command in commands]
        legs = wires.legs(stage.lab)
        stage.prove(
            f"a shell, {_CHANNELS} commands and a copy run at once over one connection (ControlMaster)",
            holds=told == [f"channel-{number}" for number in range(_CHANNELS)] and copied.returncode == 0,
            found=(told, copied.stderr),
        )
        stage.prove(
            "it is one connection on either side, and one session with one recording",
            holds=(legs.at_vendor, legs.at_plant) == (1, 1) and acts.live_sessions(stage) == [session_id],
            found=(legs, acts.live_sessions(stage)),
        )
        shell.type("exit\n")
        shell.wait(30)
    closed = acts.closed_session(stage, session_id)
    stage.prove("it ends when its last channel does", holds=text_of(closed, "state") == "closed", found=closed)


def _make_file(desk: Desk, name: str) -> str:
    path = desk.home / name
    path.write_bytes(os.urandom(_BYTES))
    os.chown(path, desk.account.uid, desk.account.uid)
    return _digest(path)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "absent"
