"""The main job: from a broker that nobody can see to a session that an auditor replays."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from deploy.demo import acts
from deploy.demo.acts import NAME, PROMPT, REASON, WORK_ORDER
from deploy.demo.lab import BROKER_PLANT_ADDRESS, VENDOR_ADDRESS
from deploy.demo.people import KELLER, LIN, WU, ZHAO
from deploy.demo.plant_api import text_of
from deploy.demo.scan import describe, scan_from_vendor
from deploy.demo.site import SSH_PORT, TLS_PORT
from deploy.demo.stage import Stage
from deploy.demo.target import DATA_DIR, HOSTNAME

DANGEROUS = f"rm -rf {DATA_DIR}"
STILL_HERE = "still-here-42"
_NOT_LET_IN = (7, 8)  # of sally: no answer, device not trusted


def hidden(stage: Stage) -> None:
    """A stranger scans every port and learns nothing, because nothing is sent."""
    facts = scan_from_vendor(stage.lab)
    for line in describe(facts):
        stage.say(line)
    stage.prove(
        "all 65,535 TCP and all 65,535 UDP ports look alike: no answer",
        holds=facts.tcp.tells_nothing and facts.udp.tells_nothing,
        found=facts,
    )
    stage.prove("not one IP packet left the broker while the scan reached it", holds=facts.hidden, found=facts.silence)
    stage.prove("the console cannot be reached from the vendor's side", holds=not acts.reaches_console(stage))


def enrolled(stage: Stage) -> None:
    """An invited laptop enrols through the closed door; a person at the plant trusts it by a code read aloud."""
    keller, lin = stage.site.people[KELLER], stage.site.people[LIN]
    desk = stage.desk(keller)
    acts.hand_over(desk, "invite.txt", stage.site.invite())
    done = desk.run(["sally", "enroll", "invite.txt", "--name", "keller-laptop"])
    code = re.search(r"Short code: (.+)", done.stdout)
    stage.prove(
        "the laptop enrolled with a one-use invite, behind the same closed door",
        holds=done.returncode == 0 and code is not None,
        found=done.stderr + done.stdout,
    )
    acts.hand_over(desk, "token.txt", stage.activation_token or "none")
    # Both wait for an answer that does not come: side by side.
    again = acts.started(desk, ["env", "SALLY_HOME=/home/keller/second", "sally", "enroll", "invite.txt"])
    early = acts.started(
        desk, ["sally", "activate", "--token-file", "token.txt", "--password-file", "-"], text="not-yet-trusted-1\n"
    )
    said = [process.communicate(timeout=60)[0] for process in (again, early)]
    stage.prove("the invite is burnt: a second use gets no answer", holds=again.returncode != 0, found=said[0])
    desk.run(["rm", "-rf", "/home/keller/second"])
    stage.prove(
        "until somebody trusts it, the device's knocks get no answer and the account's token is worth nothing",
        holds=early.returncode in _NOT_LET_IN,
        found=(early.returncode, said[1]),
    )
    stage.say(f"{lin.role.display_name} compares the short code and trusts the device, in the console")
    read = stage.browse(lin, "trust-device", device="keller-laptop", short_code=code.group(1).strip() if code else "")
    stage.prove("the console shows the device as trusted", holds=read["state"] == "trusted", found=read)
    if stage.activation_token:
        secret = acts.activate(desk, stage.activation_token, keller.password)
        keller.totp_secret = secret
        stage.site.note_activated(keller)
        stage.prove("the engineer chose a password and got a second factor", holds=bool(secret))


def known(stage: Stage) -> None:
    """Device, person and second factor together open the vendor face, for this one caller."""
    keller = stage.site.people[KELLER]
    desk = stage.desk(keller)
    refused, screen = acts.sign_in(desk, keller, "000000")
    stage.prove("the right device and password with a wrong code are refused", holds=refused != 0, found=screen)
    signed_in, screen = acts.sign_in(desk, keller, keller.code(within_seconds=10))
    stage.prove("device, password and code together sign the engineer in", holds=signed_in == 0, found=screen)
    status = acts.output(desk, ["sally", "status", "--json"])
    stage.prove("the session lives in the client's agent", holds=status.get("signed_in") is True, found=status)
    ports = f"{SSH_PORT},{TLS_PORT}"
    facts = scan_from_vendor(stage.lab, udp_ports="62201", tcp_ports=ports)
    stage.prove(f"to everybody else ports {ports} stay shut", holds=facts.tcp.tells_nothing, found=facts.tcp)


def granted(stage: Stage) -> None:
    """Access to one target for one hour is asked for, and another person at the plant approves it."""
    keller, zhao = stage.site.people[KELLER], stage.site.people[ZHAO]
    desk = stage.desk(keller)
    desk.run(["sally", "ssh-config", "--install"])
    before = desk.run(["ssh", NAME, "true"])
    stage.prove(
        "without an approval stock ssh gets nowhere", holds=before.returncode == acts.SSH_FAILED, found=before.stderr
    )
    stage.say(before.stderr.strip().splitlines()[0] if before.stderr.strip() else "")
    asked = desk.run(
        ["sally", "request", HOSTNAME, "--reason", REASON, "--work-order", WORK_ORDER, "--for", "1h", "--json"]
    )
    stage.prove("the engineer asked for one hour on one target", holds=asked.returncode == 0, found=asked.stderr)
    request_id = text_of(json.loads(asked.stdout), "id")
    waiting = desk.run(["ssh", NAME, "true"])
    stage.prove("a request is not yet a permission", holds=waiting.returncode == acts.SSH_FAILED, found=waiting.stderr)
    alone = acts.refusal_of(lambda: _approve_as(stage, request_id))
    stage.prove("who invited and trusted the device cannot approve its access", holds=alone != "", found="approved")
    stage.say(f"{zhao.role.display_name} reads the request and approves it, in the console")
    read = stage.browse(
        zhao, "approve", engineer=keller.role.display_name, target=HOSTNAME, reason=REASON, work_order=WORK_ORDER
    )
    stage.prove(
        "the console shows who asked, for what and why, and that it is approved",
        holds=read["state"] == "approved",
        found=read,
    )
    grants = acts.output(desk, ["sally", "requests", "--json"])
    stage.prove("the engineer sees the approval", holds="approved" in json.dumps(grants), found=grants)


def _approve_as(stage: Stage, request_id: str) -> None:
    session = stage.site.sign_in(stage.site.people[LIN])
    try:
        session.post(f"/access-requests/{request_id}/approve")
    finally:
        session.sign_out()


def entered(stage: Stage) -> None:
    """Stock ssh, nothing special: a shell, a window size, a command's status; no key on the laptop's disk."""
    desk = stage.desk(stage.site.people[KELLER])
    with acts.terminal(desk, ["ssh", NAME]) as shell:
        shell.expect(PROMPT, 30)
        stage.ssh_to_prompt_seconds = time.monotonic() - shell.started_at
        stage.prove(
            f"stock ssh shows the target's prompt after {stage.ssh_to_prompt_seconds:.2f} s, without a password",
            holds=True,
        )
        shell.type("stty size\n")
        shell.expect("30 100")
        shell.resize(120, 40)
        shell.type("sleep 0.2; stty size\n")
        shell.expect("40 120")
        stage.prove("the window's size, and its change, reach the target", holds=True)
        shell.type("exit 3\n")
        left = shell.wait()
    stage.prove("the shell's exit status comes back", holds=left == 3, found=left)
    command = desk.run(["ssh", NAME, f"hostname; cat {DATA_DIR}/axis5-parameters.ini; exit 7"])
    right = command.returncode == 7 and command.stdout.startswith(f"{HOSTNAME}\n[servo]")
    stage.prove(
        "a single command works and gives its own status",
        holds=right,
        found=(command.returncode, command.stdout, command.stderr),
    )
    keys = desk.run(["grep", "-rlE", "PRIVATE KEY|BEGIN OPENSSH", "/home/keller"]).stdout.split()
    stage.prove(
        "the laptop's disk holds the device's key and no SSH key",
        holds=[Path(key).name for key in keys] == ["device.key"],
        found=keys,
    )
    log = stage.target.log.read_text(encoding="utf-8")
    seen = set(re.findall(r"Accepted password for maint from (\S+)", log))
    stage.prove(
        "the target saw the broker log in, and never the vendor",
        holds=seen == {BROKER_PLANT_ADDRESS} and VENDOR_ADDRESS not in log,
        found=seen,
    )


def watched(stage: Stage) -> None:
    """The plant sees the session while it runs, and a dangerous command never reaches the target."""
    desk = stage.desk(stage.site.people[KELLER])
    auditor = stage.site.sign_in(stage.site.people[WU])
    before = stage.target.data_files()
    with acts.terminal(desk, ["ssh", NAME]) as shell:
        shell.expect(PROMPT, 30)
        live = acts.wait_for(auditor, "/sessions?state=live", lambda item: item.get("recording_id") is not None)
        stage.session_id, stage.recording_id = text_of(live, "id"), text_of(live, "recording_id")
        stage.prove(
            "the console shows the session live, with person, device and target",
            holds=acts.who_and_where(live) == [KELLER.display_name, "keller-laptop", HOSTNAME],
            found=live,
        )
        shell.type(f"cat {DATA_DIR}/recipes.csv\n")
        shell.expect("KR-2214")
        shell.expect(PROMPT)
        shell.type(f"{DANGEROUS}\n")
        words = shell.expect(r"Sallyport: (.*blocked.*\S)").group(1)  # before or after the next prompt
        stage.say(f"the engineer reads: {words}")
        shell.expect(PROMPT)
        shell.type("echo still-here-$((40+2))\n")
        shell.expect(STILL_HERE)
        stage.prove("the session goes on after the refusal", holds=True)
        stage.prove(
            f"'{DANGEROUS}' did not happen: every file is as it was",
            holds=stage.target.data_files() == before,
            found=sorted(stage.target.data_files()),
        )
        shell.type("exit\n")
        shell.wait()
    closed = acts.wait_for(auditor, "/sessions?state=closed", lambda item: item.get("id") == stage.session_id)
    stage.prove(
        "the session's record counts the blocked command", holds=closed.get("commands_blocked") == 1, found=closed
    )
    auditor.sign_out()


def seen(stage: Stage) -> None:
    """An auditor replays what happened, and the trail proves itself."""
    wu = stage.site.people[WU]
    desk = stage.desk(wu)
    read = stage.browse(wu, "replay", session=stage.session_id, blocked=DANGEROUS, before="KR-2214", after=STILL_HERE)
    stage.prove(
        "the browser calls the recording verified and sealed, marks the blocked command and replays around it",
        holds=STILL_HERE in read["screen"],
        found=read,
    )
    stage.say(read["verification"])
    entered, screen = acts.sign_in_at_command_line(desk, wu, stage)
    stage.prove("the auditor signs in at the command line", holds=entered == 0, found=screen)
    play = ["sallyport", "recordings", "play", stage.recording_id, "--speed", "20", "--idle-limit", "0.2"]
    with acts.terminal(desk, play) as player:
        status = player.wait(60)
    screen = player.screen
    stage.prove(
        "'sallyport recordings play' shows the same in a terminal",
        holds=status == 0 and "KR-2214" in screen and STILL_HERE in screen,
        found=(status, screen[-800:]),
    )
    listed = desk.run(["sallyport", "audit", "list", "--limit", "200", "--json"])
    codes = [str(item["code"]) for item in reversed(json.loads(listed.stdout))] if listed.returncode == 0 else []
    stage.say(f"{len(codes)} audit events, among them, in this order: {', '.join(acts.STORY)}")
    missing = acts.missing_from_story(codes)
    stage.prove("the audit trail tells it from the invite to the replay", holds=not missing, found=(missing, codes))
    state = desk.run(["sallyport", "audit", "state"])
    stage.prove("the chain of audit events holds", holds=state.returncode == 0, found=state.stderr + state.stdout)
    facts = scan_from_vendor(stage.lab, udp_ports="62201", tcp_ports=f"{SSH_PORT},{TLS_PORT}")
    stage.prove("and the door is shut again", holds=facts.tcp.tells_nothing and facts.udp.tells_nothing, found=facts)
