"""A session under way: an administrator watches it from its beginning, holds its input, and speaks to the engineer."""

from __future__ import annotations

from deploy.demo import acts
from deploy.demo.people import KELLER, ZHAO
from deploy.demo.stage import Stage
from deploy.demo.target import DATA_DIR
from deploy.demo.watch import Watch

_FIRST_WORDS = "first-words-42"
_HELD_SECONDS = 1.5
_HOLD = "Wait, the guard door is open"
_MESSAGE = "Please mind the guard door"


def live(stage: Stage) -> None:
    """A session under way is listed, watched from its beginning, held, let go on, and spoken to."""
    keller, zhao = stage.site.people[KELLER], stage.site.people[ZHAO]
    console = stage.console_of(zhao)
    with acts.ssh_session(stage, keller) as shell:
        shell.type("echo first-words-$((40+2))\n")
        shell.expect(_FIRST_WORDS)
        shell.expect(acts.PROMPT)
        session_id = acts.live_session(stage, keller)
        stage.prove("the session under way is listed", holds=True)
        with Watch(console, session_id) as watch:
            stage.prove(
                f"{zhao.role.display_name} begins to watch late and sees it from its beginning",
                holds=watch.shows(_FIRST_WORDS) and watch.reaches_live_edge(),
                found=watch.screen,
            )
            shell.type("echo live-edge-$((40+2))\n")
            shell.expect("live-edge-42")
            stage.prove("what happens now is seen now", holds=watch.shows("live-edge-42"), found=watch.screen)
            shell.expect(acts.PROMPT)
            console.post(f"/sessions/{session_id}/freeze", {"reason": _HOLD})
            shell.expect(_HOLD)
            stage.say(f"the engineer reads: The plant holds your input: {_HOLD}")
            shell.type(f"echo typed-while-held > {DATA_DIR}/held.txt\n")
            shown = shell.read_on(_HELD_SECONDS)
            held = stage.target.data_dir / "held.txt"
            stage.prove(
                "a keystroke of a held session does not arrive: no echo, and nothing happens on the target",
                holds=not held.exists() and "typed-while-held" not in shown,
                found=shown,
            )
            console.post(f"/sessions/{session_id}/thaw", {"reason": "The door is shut"})
            shell.expect("typed-while-held")
            shell.expect(acts.PROMPT)
            stage.prove(
                "let go on, what was typed arrives", holds=held.read_text(encoding="utf-8") == "typed-while-held\n"
            )
            held.unlink()
            console.post(f"/sessions/{session_id}/message", {"text": _MESSAGE})
            shell.expect(_MESSAGE)
            stage.prove("a message of the plant is read in the engineer's terminal", holds=watch.shows(_MESSAGE))
            shell.type("exit\n")
            shell.wait()
            acts.closed_session(stage, session_id)
        stage.prove("no frame was missing or came twice on the watcher's line", holds=watch.is_ordered)
    wanted = [
        f"sessions.session.{what}" for what in ("watched", "frozen", "thawed", "messaged", "ended", "watch_ended")
    ]
    codes = acts.await_codes(stage, session_id, *wanted)
    missing = [code for code in wanted if code not in codes]
    stage.prove("the trail tells who watched, held, let go on and spoke", holds=not missing, found=(missing, codes))
