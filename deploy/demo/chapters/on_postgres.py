"""A second site, with its store on PostgreSQL: the same job, also while the database is restarted under it."""

from __future__ import annotations

import json

from deploy.demo import acts, newcomer, postgres
from deploy.demo.acts import NAME
from deploy.demo.lab import VENDOR, Lab
from deploy.demo.people import SUN, WU, ZHAO, Person
from deploy.demo.plant_api import text_of
from deploy.demo.site import Site
from deploy.demo.stage import Stage
from deploy.demo.target import DATA_DIR, HOSTNAME, start_target
from deploy.demo.workstation import open_desks

_DANGEROUS = f"rm -rf {DATA_DIR}"


def on_postgres(stage: Stage) -> None:
    """A second site keeps its records in PostgreSQL; a session outlives the database's restart; a target is retired."""
    with postgres.running() as server, Lab() as lab:
        server.folder.chmod(0o711)  # control, another user, reaches the socket in it
        second = _second_site(stage, lab, server.new_database())
        try:
            _walk(second, server, newcomer.arrive(second).person)
        finally:
            second.sign_out_all()


def _second_site(stage: Stage, lab: Lab, database_url: str) -> Stage:
    target = start_target(lab)
    site = Site(lab, lab.dir, database_url=database_url)
    desks = open_desks(lab, VENDOR, "brandt-laptop", {newcomer.USERNAME: newcomer.DISPLAY_NAME})
    site.init()
    site.start()
    token = site.settle_people()
    site.settle_target(target)
    stage.prove("a second site runs with its store on PostgreSQL", holds=not list(site.state_dir.rglob("*.db")))
    return Stage(lab, site, target, desks, token, out=stage.out, result=stage.result)


def _walk(second: Stage, server: postgres.Postgres, engineer: Person) -> None:
    desk = second.desk(engineer)
    acts.asked_and_approved(second, engineer)
    with acts.ssh_session(second, engineer) as shell:
        session_id = acts.live_session(second, engineer)
        second.prove("an engineer is enrolled, approved and in, by stock ssh", holds=True)
        server.stop()
        try:
            shell.type("echo without-$((40+2))\n")
            shell.expect("without-42")
            shell.type(f"{_DANGEROUS}\n")
            shell.expect("blocked")
            shell.expect(acts.PROMPT)
            second.prove("PostgreSQL is stopped: the session goes on, a dangerous command is stopped too", holds=True)
            refused = desk.run(["timeout", "20", "ssh", NAME, "true"])
            second.prove("nobody new gets in meanwhile", holds=refused.returncode != 0, found=refused)
        finally:
            server.start()
        second.site.await_ready()
        shell.type("exit\n")
        shell.wait(30)
    record = acts.closed_session(second, session_id)
    codes = acts.await_codes(second, session_id, "sessions.command.blocked", "sessions.session.ended")
    told = [codes.count(f"sessions.{what}") for what in ("session.started", "command.blocked", "session.ended")]
    second.prove("it is back: the trail has all of it, each once", holds=told == [1, 1, 1], found=codes)
    _retired(second, engineer)
    verified = second.site.sallyport("verify", "--json")
    states = {one["recording_id"]: one["state"] for one in json.loads(verified.stdout or "{}").get("recordings", ())}
    second.prove(
        "'sallyport verify' finds trail, witness and recordings whole, as it does on SQLite",
        holds=verified.returncode == 0 and states.get(text_of(record, "recording_id")) == "sealed",
        found=verified.stdout[-2000:] + verified.stderr,
    )


def _retired(second: Stage, engineer: Person) -> None:
    """The machine is gone: who registered it retires it, under a session that runs there."""
    sun, zhao = second.console_of(second.site.people[SUN]), second.console_of(second.site.people[ZHAO])
    target_id = next(text_of(item, "id") for item in sun.items("/targets") if item["name"] == HOSTNAME)
    with acts.ssh_session(second, engineer) as shell:
        session_id = acts.live_session(second, engineer)
        sun.post(f"/targets/{target_id}/retire")
        shell.wait(60)
    record = acts.closed_session(second, session_id)
    second.prove(
        f"{SUN.display_name} retires the target: the session that runs there ends",
        holds=record.get("end_reason") == "target_retired",
        found=record,
    )
    states = {text_of(item, "state") for item in zhao.items("/grants")}
    kept = [item["state"] for item in sun.items(f"/targets/{target_id}/credentials")]
    refused = second.desk(engineer).run(["ssh", NAME, "true"])
    second.prove(
        "its grants are taken back, its credential is gone from the vault, nobody gets there any more",
        holds=states == {"revoked"} and kept == ["absent"] and refused.returncode == acts.SSH_FAILED,
        found=(states, kept, refused),
    )
    wu = second.console_of(second.site.people[WU])
    replayed = acts.refusal_of(lambda: wu.text(f"/recordings/{text_of(record, 'recording_id')}/cast"))
    second.prove("what was recorded there is replayed as before", holds=replayed == "", found=replayed)
