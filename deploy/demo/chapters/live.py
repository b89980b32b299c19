"""A session under way: an administrator watches it from its beginning, holds its input, and speaks to the engineer."""

from __future__ import annotations

from deploy.demo import acts
from deploy.demo.people import KELLER, WU, ZHAO
from deploy.demo.sitting import Sitting
from deploy.demo.stage import Stage
from deploy.demo.target import DATA_DIR
from deploy.demo.terminal import Terminal
from deploy.demo.watch import Watch

_FIRST_WORDS, _LIVE_EDGE = "first-words-42", "live-edge-42"
_HELD_SECONDS = 1.5
_HOLD = "Wait, the guard door is open"
_MESSAGE = "Please mind the guard door"


def live(stage: Stage) -> None:
    """A session under way is watched from its beginning in a browser, held, let go on, and spoken to."""
    keller, zhao, wu = (stage.site.people[role] for role in (KELLER, ZHAO, WU))
    with acts.ssh_session(stage, keller) as shell:
        shell.type("echo first-words-$((40+2))\n")
        shell.expect(_FIRST_WORDS)
        shell.expect(acts.PROMPT)
        session_id = acts.live_session(stage, keller)
        stage.prove("the session under way is listed", holds=True)
        with Watch(stage.console_of(wu), session_id) as line, stage.sitting(zhao) as browser:
            browser.do("watch", session=session_id, shown=_FIRST_WORDS)
            stage.prove(f"{zhao.role.display_name} opens it in a browser and sees it from its beginning", holds=True)
            shell.type("echo live-edge-$((40+2))\n")
            shell.expect(_LIVE_EDGE)
            browser.do("sees", shown=_LIVE_EDGE)
            stage.prove("what happens now is seen now", holds=True)
            shell.expect(acts.PROMPT)
            _held_and_let_go_on(stage, shell, browser)
            browser.do("message", text=_MESSAGE)
            shell.expect(_MESSAGE)
            stage.prove("a message of the plant is read in the engineer's terminal", holds=True)
            shell.type("exit\n")
            shell.wait()
            acts.closed_session(stage, session_id)
            stage.prove(
                f"{wu.role.display_name}, who watches too, misses no frame and gets none twice",
                holds=line.shows(_MESSAGE) and _LIVE_EDGE in line.screen and line.is_ordered,
                found=line.screen[-400:],
            )
    wanted = [
        f"sessions.session.{what}" for what in ("watched", "frozen", "thawed", "messaged", "ended", "watch_ended")
    ]
    codes = acts.await_codes(stage, session_id, *wanted)
    missing = [code for code in wanted if code not in codes]
    stage.prove("the trail tells who watched, held, let go on and spoke", holds=not missing, found=(missing, codes))


def _held_and_let_go_on(stage: Stage, shell: Terminal, browser: Sitting) -> None:
    held = stage.target.data_dir / "held.txt"
    browser.do("hold", reason=_HOLD)
    shell.expect(_HOLD)
    stage.say(f"the engineer reads: The plant holds your input: {_HOLD}")
    shell.type(f"echo typed-while-held > {DATA_DIR}/{held.name}\n")
    shown = shell.read_on(_HELD_SECONDS)
    stage.prove(
        "a keystroke of a held session does not arrive: no echo, and nothing happens on the target",
        holds=not held.exists() and "typed-while-held" not in shown,
        found=shown,
    )
    browser.do("let-go-on", reason="The door is shut")
    shell.expect("typed-while-held")
    shell.expect(acts.PROMPT)
    arrived = held.read_text(encoding="utf-8")
    stage.prove("let go on, what was typed arrives", holds=arrived == "typed-while-held\n", found=arrived)
    held.unlink()
