"""The control plane dies under a running session and comes back: nobody notices, and nothing is lost or told twice."""

from __future__ import annotations

import json
import re

from deploy.demo import acts
from deploy.demo.acts import NAME
from deploy.demo.people import KELLER, WU
from deploy.demo.plant_api import text_of
from deploy.demo.stage import Stage
from deploy.demo.target import DATA_DIR

_GAPS = "/audit/events?limit=50&code=gateway.report.gap"
_LINES = 400
_LOOP = f"for i in $(seq 1 {_LINES}); do echo line-$i-; sleep 0.02; done; echo all-$((40+2))"
_TOP = re.compile(r"top - (\d\d:\d\d:\d\d)")
_DANGEROUS = f"rm -rf {DATA_DIR}"


def control_restarts(stage: Stage) -> None:
    """The control plane is killed under a running session; the session goes on, its record is whole, once."""
    keller, processes = stage.site.people[KELLER], stage.site.processes
    desk, wu = stage.desk(keller), stage.console_of(stage.site.people[WU])
    gaps_before = wu.items(_GAPS)
    with acts.ssh_session(stage, keller) as shell:
        session_id = acts.live_session(stage, keller)
        with processes.held():
            shell.type("top -d 0.5\n")
            shell.expect(_TOP.pattern, 30)
            killed = processes.kill("control")
            for _ in range(3):
                shell.expect(_TOP.pattern, 30)
            stage.prove(f"control (pid {killed}) is killed while the session runs top: top goes on", holds=True)
            shell.type("q")
            shell.expect(acts.PROMPT)
            shell.type(f"{_DANGEROUS}\n")
            shell.expect("blocked")
            shell.expect(acts.PROMPT)
            stage.prove("with control away, a dangerous command is stopped all the same", holds=True)
            elsewhere = desk.run(["ssh", NAME, "true"])
            stage.prove(
                "nobody new gets in meanwhile", holds=elsewhere.returncode == acts.SSH_FAILED, found=elsewhere.stdout
            )
            shell.type(f"{_LOOP}\n")
            shell.expect("line-20-", 30)
        new = processes.await_new("control", killed)
        stage.site.await_ready()
        stage.prove(f"the supervisor has started it again (pid {new})", holds=True)
        shell.expect("all-42", 60)
        shell.expect(acts.PROMPT)
        shell.type("exit\n")
        shell.wait(30)
    record = acts.closed_session(stage, session_id)
    codes = acts.await_codes(stage, session_id, "sessions.session.ended", "sessions.command.blocked")
    told = [codes.count(code) for code in ("sessions.command.blocked", "sessions.session.ended")]
    stage.prove("what happened meanwhile is in the trail exactly once", holds=told == [1, 1], found=codes)
    gaps = wu.items(_GAPS)
    stage.prove("and none of the gateway's reports is missing", holds=gaps == gaps_before, found=gaps)
    _recording_is_whole(stage, text_of(record, "recording_id"))


def _recording_is_whole(stage: Stage, recording_id: str) -> None:
    path = stage.site.state_dir / "recordings" / f"{recording_id}.sallyrec"
    verified = stage.site.sallyport("verify", "--recording", str(path))
    stage.prove(
        "'sallyport verify' finds the recording whole and sealed",
        holds=verified.returncode == 0,
        found=verified.stdout + verified.stderr,
    )
    wu = stage.console_of(stage.site.people[WU])
    cast = wu.text(f"/recordings/{recording_id}/cast").splitlines()[1:]
    screen = "".join(str(item[2]) for item in map(json.loads, cast) if item[1] == "o")
    lines = [int(number) for number in re.findall(r"line-(\d+)-\r", screen)]
    stage.prove(
        f"every one of {_LINES} lines that came while control was away and came back is in it, in order",
        holds=lines == list(range(1, _LINES + 1)),
        found=(len(lines), lines[-3:]),
    )
