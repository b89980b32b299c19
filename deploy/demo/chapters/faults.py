"""Processes of the site die: what must close is closed, what must live lives, and each comes back."""

from __future__ import annotations

import json

from deploy.demo import acts, wires
from deploy.demo.chapters import claims
from deploy.demo.people import KELLER, WU
from deploy.demo.plant_api import Json, text_of
from deploy.demo.processes import is_running, kill_hard
from deploy.demo.stage import Stage
from deploy.demo.target import DATA_DIR

GAP = "gateway.report.gap"
_FOUR = 4
_LAST_WORDS = "last-words-42"


def faults(stage: Stage) -> None:
    """guard, opener and gateway are killed in turn: doors stay closed meanwhile, and each comes back."""
    keller = stage.site.people[KELLER]
    with acts.ssh_session(stage, keller) as shell:
        session_id = acts.live_session(stage, keller)
        for name in ("guard", "opener"):
            with stage.site.processes.held():
                pid = stage.site.processes.kill(name)
                claims.nobody_gets_in(stage, f"{name} (pid {pid}) is killed")
                shell.type(f"echo without-{name}-$((40+2))\n")
                shell.expect(f"without-{name}-42")
                stage.prove("the session under way goes on", holds=True)
            claims.comes_back(stage, name, pid)
        with stage.site.processes.held():
            pid = stage.site.processes.kill("gateway")
            shell.wait(60)
            legs = wires.await_dead(stage.lab)
            stage.prove(
                f"gateway (pid {pid}) is killed: its session is over, both legs are dead",
                holds=legs.are_dead,
                found=legs,
            )
            claims.nobody_gets_in(stage, "while it is away")
        claims.comes_back(stage, "gateway", pid)
    record = acts.closed_session(stage, session_id)
    stage.say(f"the console says of the session: {record['end_reason']}")
    claims.recording_is(stage, text_of(record, "recording_id"), "broken")


def supervisor_dies(stage: Stage) -> None:
    """The supervisor is killed: nothing ends with it, nothing comes back without it, and a new start brings it all."""
    keller, site = stage.site.people[KELLER], stage.site
    with acts.ssh_session(stage, keller) as shell:
        session_id = acts.live_session(stage, keller)
        left, supervisor = site.processes.pids(), site.processes.supervisor
        kill_hard(supervisor)
        shell.type("echo without-supervisor-$((40+2))\n")
        shell.expect("without-supervisor-42")
        stage.prove(
            f"the supervisor (pid {supervisor}) is killed: its {len(left)} processes live, and so does the session",
            holds=len(left) == _FOUR and all(map(is_running, left.values())),
            found=left,
        )
        claims.gets_in_again(stage, "whoever may knock is let in as before")
        kill_hard(left["guard"])
        claims.nobody_gets_in(stage, f"guard (pid {left['guard']}) is killed too, and nobody starts it again")
        shell.type(f"echo {_LAST_WORDS.replace('42', '$((40+2))')}\n")
        shell.expect(_LAST_WORDS)
        kill_hard(left["gateway"])
        shell.wait(60)
        stage.say(f"gateway (pid {left['gateway']}) is killed as well")
        claims.legs_are_dead(stage)
    seconds = site.start_again()
    claims.gets_in_again(stage, f"started again, all is there after {seconds:.1f} s")
    _broken_where_it_ended(stage, session_id)


def _broken_where_it_ended(stage: Stage, session_id: str) -> None:
    """Prove that a session that died with its gateway has its end, and a recording up to its last words."""
    record = acts.closed_session(stage, session_id)
    once = acts.await_codes(stage, session_id, "sessions.session.ended").count("sessions.session.ended")
    stage.prove(
        f"the session that it cost is closed ({record['end_reason']}), which the trail tells once",
        holds=once == 1,
        found=record,
    )
    recording_id = text_of(record, "recording_id")
    verified = claims.recording_is(stage, recording_id, "broken")
    told = [
        params
        for item in acts.events_of(stage, recording_id)
        if item["code"] == "recordings.recording.broken" and isinstance(params := item["params"], dict)
    ]
    stage.prove(
        f"the trail tells its exact end: {told[0]['frames']} frames in {told[0]['batches']} batches, as the file has",
        holds=len(told) == 1 and told[0]["batches"] == verified["batches"],
        found=(told, verified),
    )
    cast = stage.console_of(stage.site.people[WU]).text(f"/recordings/{recording_id}/cast")
    stage.prove("and it holds the last words that the engineer saw", holds=_LAST_WORDS in cast, found=cast[-400:])


def report_is_missing(stage: Stage) -> None:
    """Somebody with root takes a report out of the gateway's spool: the gap in its numbers alarms, the rest is told."""
    keller, processes = stage.site.people[KELLER], stage.site.processes
    with acts.ssh_session(stage, keller) as shell:
        session_id = acts.live_session(stage, keller)
        with processes.held():
            dead = {"control": processes.kill("control")}
            for _ in range(2):
                shell.type(f"rm -rf {DATA_DIR}\n")
                shell.expect("blocked")
                shell.expect(acts.PROMPT)
            dead["gateway"] = processes.kill("gateway")
            shell.wait(60)
            spool = stage.site.state_dir / "gateway" / "spool.jsonl"
            lines = spool.read_text(encoding="utf-8").splitlines(keepends=True)
            taken = next(line for line in lines if "command.blocked" in line and session_id in line)
            spool.write_text("".join(line for line in lines if line is not taken), encoding="utf-8")
        for name, pid in dead.items():
            processes.await_new(name, pid)
    seq = json.loads(taken)["entry"]["seq"]
    stage.say(f"with control and gateway dead, report {seq}, a blocked command, is taken out of the spool")

    def is_told(item: Json) -> bool:
        params = item["params"]
        return isinstance(params, dict) and (params["expected_seq"], params["got_seq"]) == (seq, seq + 1)

    stage.site.await_ready()
    acts.wait_for(stage.console_of(stage.site.people[WU]), f"/audit/events?limit=50&code={GAP}", is_told)
    stage.prove(f"control alarms: report {seq} is missing", holds=True)
    codes = acts.await_codes(stage, session_id, "sessions.command.blocked", "sessions.session.ended")
    told = [codes.count(f"sessions.{what}") for what in ("command.blocked", "session.ended")]
    stage.prove("what was left is told once: the other blocked command and the end", holds=told == [1, 1], found=codes)
    claims.gets_in_again(stage, "all is up again")
