"""Sessions that are cut, at the console and on the host, and sessions that end by themselves."""

from __future__ import annotations

from datetime import datetime

from deploy.demo import acts, newcomer, wires
from deploy.demo.acts import NAME
from deploy.demo.chapters import claims, moved
from deploy.demo.people import ADMIN, KELLER, LIN, ZHAO, Person
from deploy.demo.plant_api import Json, PlantSession, text_of
from deploy.demo.scan import scan_from_vendor
from deploy.demo.site import SSH_PORT, TLS_PORT
from deploy.demo.stage import Stage
from deploy.demo.terminal import Terminal

_WHY = "Line 3 must run now"
_WHY_ON_HOST = "Fire drill"
_WINDOW_SECONDS = 20


def cut(stage: Stage) -> None:
    """An admin cuts a session at the console; root cuts one on the host while control is dead. Both stay cut."""
    keller = stage.site.people[KELLER]
    _cut_at_the_console(stage, keller)
    grant_id = acts.asked_and_approved(stage, keller)
    _cut_on_the_host(stage, keller, grant_id)


def _cut_at_the_console(stage: Stage, keller: Person) -> None:
    zhao = stage.site.people[ZHAO]
    with acts.ssh_session(stage, keller) as shell:
        session_id = acts.live_session(stage, keller)
        before = wires.legs(stage.lab)
        stage.prove("both legs of a live session are seen in the kernels", holds=before.both_live, found=before)
        read = stage.browse(zhao, "cut", session=session_id, reason=_WHY)
        shell.expect(_WHY)
        shell.wait(30)
    stage.prove(
        f"{zhao.role.display_name} cuts it in the console, and the engineer reads why", holds=bool(read), found=read
    )
    stage.say(f"the engineer reads: {claims.last_words(shell)}")
    claims.legs_are_dead(stage)
    record = acts.closed_session(stage, session_id)
    grant_id = text_of(record, "grant_id")
    _no_way_back(stage, keller, grant_id)
    told = {text_of(item, "code"): item for item in acts.events_of(stage, session_id)}
    apart = _ms_apart(told["sessions.session.end_ordered"], told["sessions.session.ended"])
    stage.prove(f"the trail has order and end, {apart} ms apart", holds=apart >= 0, found=told)


def _ms_apart(ordered: Json, ended: Json) -> int:
    """From the order's entry to the moment at which the gateway had dropped both legs."""
    params = ended["params"]
    ended_at_ms = params["ended_at_ms"] if isinstance(params, dict) else 0
    return int(ended_at_ms) - int(datetime.fromisoformat(text_of(ordered, "at")).timestamp() * 1000)


def _no_way_back(stage: Stage, keller: Person, grant_id: str) -> None:
    """Prove that the cut session's grant opens nothing any more."""
    desk = stage.desk(keller)
    facts = scan_from_vendor(stage.lab, udp_ports="62201", tcp_ports=f"{SSH_PORT},{TLS_PORT}")
    stage.prove("the door is closed", holds=facts.tcp.tells_nothing, found=facts.tcp)
    tried = acts.knocks_again(stage, keller, grant_id)
    stage.prove("another knock for that grant gets no answer", holds=tried["connected"] is False, found=tried)
    stage.prove("and the site makes no further certificate for it", holds=tried.get("code") == "denied", found=tried)
    again = desk.run(["ssh", NAME, "true"])
    stage.prove(
        "stock ssh is refused and says why",
        holds=again.returncode == acts.SSH_FAILED and "taken back" in again.stderr,
        found=again.stderr,
    )
    stage.say(again.stderr.strip().splitlines()[0])


def _cut_on_the_host(stage: Stage, keller: Person, grant_id: str) -> None:
    site, processes, desk = stage.site, stage.site.processes, stage.desk(keller)
    with acts.ssh_session(stage, keller) as shell:
        session_id = acts.live_session(stage, keller)
        with processes.held():
            processes.kill("control")
            listed = site.sallyport("cut", "--list")
            stage.prove(
                "with control dead, 'sallyport cut --list' shows what runs",
                holds=session_id in listed.stdout,
                found=listed.stdout + listed.stderr,
            )
            done = site.sallyport("cut", session_id, "--reason", _WHY_ON_HOST)
            shell.expect(_WHY_ON_HOST)
            shell.wait(30)
            stage.prove(
                "'sallyport cut' ends it: the engineer reads why", holds=done.returncode == 0, found=done.stderr
            )
            claims.legs_are_dead(stage)
            again = desk.run(["ssh", NAME, "true"])
            stage.prove(
                "and nobody gets in under its grant", holds=again.returncode == acts.SSH_FAILED, found=again.stderr
            )
        site.await_ready()
    codes = acts.await_codes(stage, session_id, "sessions.session.cut_on_host", "sessions.session.ended")
    once = [codes.count(f"sessions.session.{what}") for what in ("cut_on_host", "ended")]
    stage.prove("control is back: the trail has it once", holds=once == [1, 1], found=codes)
    zhao = stage.console_of(stage.site.people[ZHAO])

    def is_taken_back(item: Json) -> bool:
        return item.get("id") == grant_id and item.get("state") == "revoked"

    acts.wait_for(zhao, "/grants", is_taken_back)
    stage.prove("and the grant is taken back", holds=True)


def ended_by_itself(stage: Stage) -> None:
    """A session ends when its window does, its laptop moves, or its device or its person is suspended."""
    keller, lin = stage.site.people[KELLER], stage.site.people[LIN]
    desk = stage.desk(keller)
    acts.asked_and_approved(stage, keller, _WINDOW_SECONDS)
    with acts.ssh_session(stage, keller) as shell:
        other = newcomer.arrive(stage)  # meanwhile, so that nobody waits for the window's end only
        _ends(stage, shell, "the window is over", "expired|outside_window|time is over|has ended")
    acts.asked_and_approved(stage, keller)
    console = stage.console_of(lin)
    device_id = next(
        text_of(item, "id")
        for item in console.items("/devices")
        if (item["name"], item["state"]) == ("keller-laptop", "trusted")
    )
    with acts.ssh_session(stage, keller) as shell:
        console.post(f"/devices/{device_id}/suspend")
        _is_reset(stage, shell, console)
    silent = acts.knocks_again(stage, keller)
    stage.prove("its knocks get no answer", holds=silent["connected"] is False, found=silent)
    console.post(f"/devices/{device_id}/resume")
    again = wires.await_true(lambda: desk.run(["ssh", NAME, "true"]), lambda done: done.returncode == 0)
    stage.prove("let in again, it works as before", holds=again.returncode == 0, found=again.stderr)
    acts.asked_and_approved(stage, other.person)
    with moved.laptop_moves(stage, other.person):
        with acts.ssh_session(stage, other.person) as shell:
            stage.console_of(stage.site.people[ADMIN]).post(f"/people/{other.person_id}/suspend")
            _ends(stage, shell, f"{other.person.role.display_name} is suspended", "person_suspended")
        silent = acts.knocks_again(stage, other.person)
        stage.prove("and her knocks get no answer any more", holds=silent["connected"] is False, found=silent)


def _ends(stage: Stage, shell: Terminal, when: str, words: str) -> None:
    shell.expect(words, 90)
    shell.wait(30)
    stage.prove(f"{when}: the session ends by itself, and says so", holds=True)
    stage.say(f"the engineer reads: {claims.last_words(shell)}")
    claims.legs_are_dead(stage)


def _is_reset(stage: Stage, shell: Terminal, console: PlantSession) -> None:
    """The firewall resets a suspended device at once, so our words may come too late: the console has the reason."""
    shell.wait(90)
    acts.wait_for(console, "/sessions", lambda item: item.get("end_reason") == "device_not_trusted")
    stage.prove("the device is suspended: the session ends by itself, and the console says why", holds=True)
    claims.legs_are_dead(stage)
