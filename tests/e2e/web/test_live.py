"""Watching a session under way: from the beginning, at its living end, back in time, and through broken lines."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from recorder.frames import FrameKind
from tests.e2e.web.conftest import PHONE, Opener, Plant
from tests.e2e.web.console import Console

pytestmark = pytest.mark.browser
BOTH = pytest.mark.parametrize("language", ["en", "zh-CN"])
PATH = "/sessions/ses_1/live"


def screen(console: Console) -> Locator:
    return console.page.get_by_role("region", name=console.text("sessions.screen"))


def rows(console: Console) -> list[str]:
    """The lines on the screen, without what is empty."""
    text = screen(console).locator(".xterm-rows").inner_text()
    return [line.strip() for line in text.replace("\xa0", " ").split("\n") if line.strip()]


def until(ready: Callable[[], bool], console: Console, seconds: float = 10) -> None:
    """Waits, and lets the browser's events through meanwhile."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, rows(console)
        console.page.wait_for_timeout(30)


def open_live(open_console: Opener, **options: object) -> Console:
    console = open_console(**options)
    console.sign_in("zhang", PATH)
    expect(screen(console)).to_contain_text("ready")
    return console


@BOTH
def test_a_live_session_is_found_and_watched_from_its_beginning(
    open_console: Opener, plant: Plant, language: str
) -> None:
    console = open_console(language=language)
    console.sign_in("zhang", "/sessions")
    console.page.get_by_text(console.text("sessions.live"), exact=True).first.click()
    console.page.get_by_role("link", name=console.text("sessions.watch"), exact=True).click()
    expect(screen(console)).to_contain_text("load average: 0.20")
    expect(screen(console)).to_contain_text("第三条线 ready")
    expect(console.page.locator("[data-view=live]")).to_contain_text(console.text("sessions.at_live"))
    plant.house.live.say("happens now\r\n")
    expect(screen(console)).to_contain_text("happens now")
    events = console.page.get_by_role("complementary", name=console.text("recordings.events"))
    expect(events.get_by_text("uptime")).to_be_visible()
    expect(console.page.get_by_role("definition").get_by_text("Zhang Wei 张伟")).to_be_visible()


def test_a_broken_line_is_joined_again_without_gap_or_doubled_output(open_console: Opener, plant: Plant) -> None:
    console = open_live(open_console)
    live = plant.house.live
    live.overlap = 4
    for number in range(5):
        live.say(f"line {number}\r\n")
        live.break_watches()
        live.say(f"meanwhile {number}\r\n")
        until(lambda number=number: f"meanwhile {number}" in "\n".join(rows(console)), console)
    wanted = [text for number in range(5) for text in (f"line {number}", f"meanwhile {number}")]
    assert [line for line in rows(console) if line.startswith(("line", "meanwhile"))] == wanted
    assert live.asked == sorted(live.asked)
    assert len(live.asked) >= 6
    expect(console.page.get_by_role("status").get_by_text(console.text("sessions.interrupted.lost"))).to_be_visible()


@BOTH
def test_a_viewer_who_was_too_slow_is_told_and_joins_again(open_console: Opener, plant: Plant, language: str) -> None:
    console = open_live(open_console, language=language)
    plant.house.live.break_watches("fell_behind")
    console.sees("sessions.interrupted.fell_behind")
    plant.house.live.say("after that\r\n")
    expect(screen(console)).to_contain_text("after that")


def test_while_nothing_arrives_the_page_says_that_nobody_watches_here(open_console: Opener, plant: Plant) -> None:
    console = open_live(open_console)
    plant.house.live.refuses = True
    plant.house.live.break_watches()
    console.sees("sessions.not_watching")
    console.sees("sessions.interrupted.too_many_watches")
    assert console.page.locator(".stage-dark").count() == 1
    plant.house.live.say("while away\r\n")
    plant.house.live.refuses = False
    expect(screen(console)).to_contain_text("while away", timeout=15_000)
    assert console.page.locator(".stage-dark").count() == 0


def test_looking_back_does_not_follow_and_one_press_leads_back_to_now(open_console: Opener, plant: Plant) -> None:
    console = open_live(open_console)
    slider = console.page.get_by_role("slider", name=console.text("sessions.look_back"))
    slider.focus()
    slider.press("Home")
    expect(console.page.locator("[data-view=paused]")).to_be_visible()
    until(lambda: "ready" not in "\n".join(rows(console)), console)
    plant.house.live.say("meanwhile\r\n")
    console.page.wait_for_timeout(400)
    assert "meanwhile" not in "\n".join(rows(console))
    console.button("sessions.to_live").click()
    expect(screen(console)).to_contain_text("meanwhile")
    assert rows(console).count("meanwhile") == 1


def test_playing_from_the_beginning_shortens_silence_and_arrives_at_now(open_console: Opener) -> None:
    console = open_live(open_console)
    console.button("sessions.from_beginning").click()
    expect(console.page.locator("[data-view=playing]")).to_be_visible()
    console.button("sessions.pause").click()
    expect(console.page.locator("[data-view=paused]")).to_be_visible()
    console.button("sessions.play").click()
    # Four minutes of silence lie between.
    expect(console.page.locator("[data-view=live]")).to_be_visible(timeout=15_000)
    expect(screen(console)).to_contain_text("ready")


def test_an_entry_of_the_list_leads_to_its_moment(open_console: Opener) -> None:
    console = open_live(open_console)
    console.page.get_by_role("complementary").get_by_role("button", name="uptime").click()
    expect(console.page.locator("[data-view=paused]")).to_be_visible()
    until(lambda: "ready" not in "\n".join(rows(console)), console)
    assert any("load average" in line for line in rows(console))


def test_each_terminal_of_a_session_has_a_picture_of_its_own(open_console: Opener, plant: Plant) -> None:
    console = open_live(open_console)
    live = plant.house.live
    live.put(FrameKind.EXEC, b"tail -f /var/log/syslog", channel=2)
    live.say("second window\r\n", channel=2)
    expect(screen(console)).to_contain_text("second window")
    assert "ready" not in "\n".join(rows(console))
    console.page.get_by_role("combobox", name=console.text("sessions.channel")).click()
    console.page.get_by_text(f"1 · {console.text('sessions.channel_shell')}").click()
    expect(screen(console)).to_contain_text("ready")
    assert "second window" not in "\n".join(rows(console))


@BOTH
@pytest.mark.parametrize("size", [PHONE, (1280, 860)], ids=["phone", "desk"])
def test_input_is_held_and_let_go_and_the_page_says_which(
    open_console: Opener, plant: Plant, language: str, size: tuple[int, int]
) -> None:
    console = open_live(open_console, language=language, size=size)
    session = plant.house.sessions["ses_1"]
    console.button("sessions.freeze").click()
    dialog = console.page.get_by_role("dialog")
    dialog.get_by_role("button", name=console.text("sessions.freeze"), exact=True).click()
    expect(console.page.locator(".standing").get_by_text(console.text("sessions.held"), exact=True)).to_be_visible()
    assert session.frozen is not None
    assert session.frozen.reason == console.text("sessions.freeze_reason")
    console.button("sessions.thaw").click()
    dialog.get_by_label(console.text("app.reason")).fill("looked at it")
    dialog.get_by_role("button", name=console.text("sessions.thaw"), exact=True).click()
    expect(console.button("sessions.freeze")).to_be_visible()
    assert session.frozen is None
    assert console.page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_a_message_is_sent_and_its_field_emptied(open_console: Opener, plant: Plant) -> None:
    console = open_live(open_console)
    field = console.page.get_by_label(console.text("sessions.message"))
    field.fill("请停止 the pump")
    field.press("Enter")
    console.sees("sessions.message_sent")
    expect(field).to_have_value("")
    assert plant.house.messages == ["请停止 the pump"]


def test_what_the_target_writes_stays_in_its_frame(open_console: Opener, plant: Plant) -> None:
    console = open_live(open_console)
    asked: list[str] = []
    console.page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    plant.house.live.say("\x1b]8;;https://evil.example/\x07press here\x1b]8;;\x07 <b>not bold</b>\r\n")
    plant.house.live.say("\x1b]52;c;ZXZpbA==\x07\x1b]0;Another title\x07")
    until(lambda: any("press here <b>not bold</b>" in line for line in rows(console)), console)
    screen(console).get_by_text("press here").first.click(force=True)
    console.page.wait_for_timeout(300)
    assert asked == []
    assert len(console.page.context.pages) == 1
    assert "Another title" not in console.page.title()
    console.page.evaluate("navigator.clipboard.writeText('mine')")
    assert console.page.evaluate("navigator.clipboard.readText()") == "mine"


def test_a_session_that_ends_says_so_and_leads_to_its_recording(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    console.sign_in("audit", PATH)
    expect(screen(console)).to_contain_text("ready")
    for key in ("sessions.freeze", "sessions.cut", "sessions.message_send"):
        expect(console.button(key)).to_have_count(0)
    session = plant.house.sessions["ses_1"]
    session.state, session.end_reason = "closed", "client_left"
    plant.house.live.break_watches("session_ended")
    console.sees("sessions.over")
    console.sees("sessions.end_reason.client_left")
    expect(screen(console)).to_contain_text("ready")
    expect(console.page.get_by_role("link", name=console.text("sessions.replay"))).to_be_visible()
    console.page.wait_for_timeout(1_500)
    assert plant.house.live.watching == 0


def test_a_session_that_must_be_watched_says_whether_it_is(open_console: Opener, plant: Plant) -> None:
    session = plant.house.sessions["ses_1"]
    session.must_be_watched = True
    console = open_console()
    console.sign_in("zhang", "/sessions")
    console.sees("sessions.held_unwatched")
    console.page.get_by_role("link", name=console.text("sessions.watch"), exact=True).click()
    expect(console.page.get_by_text(console.text("sessions.must_be_watched"), exact=True)).to_be_visible()
    expect(console.page.get_by_text(console.text("sessions.held_unwatched"), exact=True)).to_have_count(0)


def test_leaving_the_page_ends_the_watch(open_console: Opener, plant: Plant) -> None:
    console = open_live(open_console)
    assert plant.house.live.watching == 1
    console.page.get_by_role("link", name=console.text("sessions.to_session")).click()
    until(lambda: plant.house.live.watching == 0, console)
