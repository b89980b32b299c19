"""Sessions and their recordings: find the blocked command, go there, know whether the recording is whole."""

from typing import Literal

import pytest
from playwright.sync_api import expect

from recorder import keyframes
from recorder.frames import Frame, FrameKind
from recorder.keyframes import size_of
from tests.e2e.web.conftest import DESKTOP, PHONE, Opener, Plant
from tests.e2e.web.console import Console
from tests.e2e.web.fake_house import stamp
from tests.e2e.web.fake_models import CopyItem, Receipt
from tests.e2e.web.fake_recording import IndexedRecording

pytestmark = pytest.mark.browser
BLOCKED_AT_MS = 300_000


def _shown_time(console: Console) -> int:
    return int(console.page.locator("[data-raw-ms]").get_attribute("data-raw-ms") or "-1")


def _terminal(console: Console) -> str:
    return console.page.get_by_role("region", name=console.text("recordings.player")).inner_text()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_click_on_the_blocked_command_shows_that_moment(
    open_console: Opener, plant: Plant, language: str, size: tuple[int, int]
) -> None:
    console = open_console(size=size, language=language)
    console.sign_in("audit", "/sessions/ses_2")
    console.page.get_by_role("link", name=console.text("sessions.replay")).click()
    panel = console.page.get_by_role("complementary", name=console.text("recordings.events"))
    panel.get_by_text(console.text("recordings.blocked_only", count=1)).click()
    entry = panel.get_by_role("listitem")
    expect(entry).to_have_count(1)
    expect(entry).to_contain_text(console.text("recordings.kind.blocked"))
    expect(entry).to_contain_text("no-recursive-delete")
    entry.get_by_role("button").click()
    expect(console.page.get_by_text("this command is not allowed here")).to_be_visible()
    console.page.wait_for_timeout(400)
    # Five minutes of idle time are shortened, yet the moment is the true one.
    assert abs(_shown_time(console) - BLOCKED_AT_MS) < 1_500
    assert "systemctl" not in _terminal(console)
    assert [e.code for e in plant.house.audit].count("recordings.recording.replayed") == 1


def test_the_moment_stays_when_idle_time_is_shown_in_full_and_the_speed_changes(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("audit", "/recordings/rec_2")
    panel = console.page.get_by_role("complementary", name=console.text("recordings.events"))
    panel.get_by_role("button", name="rm -rf").click()
    expect(console.page.get_by_text("this command is not allowed here")).to_be_visible()
    console.page.get_by_role("switch").click()
    console.page.wait_for_timeout(800)
    assert abs(_shown_time(console) - BLOCKED_AT_MS) < 1_500
    expect(console.page.get_by_text("this command is not allowed here")).to_be_visible()
    panel.get_by_role("button", name="uptime").click()
    console.page.wait_for_timeout(500)
    assert abs(_shown_time(console) - 4_000) < 1_500


def test_a_jump_in_a_long_recording_shows_the_screen_of_that_moment(open_console: Opener, plant: Plant) -> None:
    house = plant.house
    house.recordings["rec_2"] = house.recordings["rec_2"].model_copy(update={"bytes": 60_000_000})
    console = open_console()
    console.sign_in("audit", "/recordings/rec_2")
    expect(console.page.get_by_text("第0分钟")).to_be_visible()
    slider = console.page.get_by_role("slider", name=console.text("recordings.moment"))
    slider.focus()
    slider.press("End")
    expect(console.page.get_by_text("step 479.5")).to_be_visible()
    assert "第0分钟" not in _terminal(console)
    slider.press("Home")
    expect(console.page.get_by_text("第0分钟")).to_be_visible()
    panel = console.page.get_by_role("complementary", name=console.text("recordings.events"))
    panel.get_by_role("button", name="rm -rf").click()
    expect(console.page.get_by_text("第5分钟")).to_be_visible()
    assert _shown_time(console) == BLOCKED_AT_MS
    console.button("recordings.play").click()
    expect(console.page.get_by_text("step 5.2")).to_be_visible()
    expect(console.button("recordings.pause")).to_be_visible()
    assert [e.code for e in house.audit].count("recordings.recording.replayed") == 1


def _resized_shift() -> list[Frame]:
    """Long lines, then an editor; the window changes before, in and after it."""
    log = "".join(
        f"{n:02d} 设备编号 {n * 7919} 温度正常，运行时间较长的一行日志文字 {'=' * (n % 50)}\r\n" for n in range(90)
    )
    said = [
        log,
        "40x30",
        "$ tail 日志\r\n" + log[-900:],
        "$ vim\x1b[?1049h\x1b[H\x1b[2J编辑器",
        "70x20",
        "\x1b[H\x1b[2J重画",
    ]
    said += ["\x1b[?1049l$ 退出编辑器 ", "100x40", "\r\n$ 窗口变大了"]
    return [
        Frame(FrameKind.RESIZE if size_of(text) else FrameKind.OUTPUT, 0, number * 3_000_000, text.encode())
        for number, text in enumerate(said)
    ]


def test_a_jump_behind_new_window_sizes_shows_what_playing_from_the_beginning_shows(
    open_console: Opener, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = plant.house
    house.recordings["rec_2"] = house.recordings["rec_2"].model_copy(update={"bytes": 60_000_000})
    shown = []
    for events in (1_000, 1):  # the jump plays all of it, or only what follows the last keyframe
        monkeypatch.setattr(keyframes, "CHUNK_EVENTS", events)
        house.long = IndexedRecording(_resized_shift())
        console = open_console()
        console.sign_in("audit", "/recordings/rec_2")
        expect(console.page.get_by_text("89 设备编号")).to_be_visible()
        slider = console.page.get_by_role("slider", name=console.text("recordings.moment"))
        slider.focus()
        slider.press("End")
        expect(console.page.get_by_text("窗口变大了")).to_be_visible()
        shown.append((_terminal(console).replace("\n", ""), len(house.long.timeline().chunks)))
    (whole, few), (jumped, many) = shown
    assert few < many
    assert jumped == whole
    assert "设备编号" in whole
    assert "编辑器 " in whole
    assert "重画" not in whole


@pytest.mark.parametrize(
    ("recording", "finding"), [("rec_2", "verified"), ("rec_3", "altered"), ("rec_1", "unfinished")]
)
def test_the_verification_is_said_in_words(open_console: Opener, recording: str, finding: str) -> None:
    console = open_console()
    console.sign_in("audit", f"/recordings/{recording}")
    section = console.page.get_by_role("region", name=console.text("recordings.verification"))
    expect(section).to_contain_text(console.text(f"recordings.finding.{finding}"))
    if finding == "altered":
        expect(section).to_contain_text(console.text("recordings.first_bad", batch=7))


@pytest.mark.parametrize("place", ["local", "both", "object_store", "gone"])
@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_where_a_recording_lies_is_said_in_words(open_console: Opener, plant: Plant, place: str, language: str) -> None:
    at = stamp(plant.house.now)
    copied = CopyItem(
        state="verified", uploaded_bytes=18_211, version="v1", locked_until=at, verified_at=at, is_held=True
    )
    changes = {"place": place, "copied": None if place == "local" else copied}
    plant.house.recordings["rec_2"] = plant.house.recordings["rec_2"].model_copy(update=changes)
    console = open_console(language=language)
    console.sign_in("audit", "/recordings/rec_2")
    section = console.page.get_by_role("region", name=console.text("recordings.verification"))
    expect(section).to_contain_text(console.text(f"recordings.place.{place}", at="", until="")[:9])
    expect(section.get_by_text(console.text("recordings.copy_held"))).to_have_count(0 if place == "local" else 1)


def test_a_copy_that_failed_and_what_is_there_of_a_running_one_is_said(open_console: Opener, plant: Plant) -> None:
    copied = CopyItem(state="growing", uploaded_bytes=16_777_216, problem="altered")
    plant.house.recordings["rec_2"] = plant.house.recordings["rec_2"].model_copy(update={"copied": copied})
    console = open_console()
    console.sign_in("audit", "/recordings/rec_2")
    section = console.page.get_by_role("region", name=console.text("recordings.verification"))
    expect(section).to_contain_text(console.text("recordings.copy_problem.altered"))
    expect(section).to_contain_text("16")


def test_the_receipt_of_a_session_is_shown_and_can_be_kept(open_console: Opener) -> None:
    console = open_console(size=PHONE, language="zh-CN")
    console.sign_in("audit", "/sessions/ses_2")
    console.sees("sessions.receipt_state.received")
    line = console.page.get_by_label(console.text("sessions.receipt_line"))
    expect(line).to_have_value('{"device_key_b64":"MCow","v":1}')
    with console.page.expect_download() as taken:
        console.button("app.download").click()
    assert taken.value.suggested_filename == "ses_2.receipt"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize(("state", "refusal"), [("missing", None), ("refused", "went_back"), ("awaited", None)])
def test_what_a_device_did_not_confirm_is_said(
    open_console: Opener,
    plant: Plant,
    language: str,
    state: Literal["missing", "refused", "awaited"],
    refusal: str | None,
) -> None:
    plant.house.receipts["ses_2"] = Receipt(state=state, refusal=refusal)
    console = open_console(language=language)
    console.sign_in("zhang", "/sessions/ses_2")
    console.sees(f"sessions.receipt_state.{state}")
    if refusal is not None:
        console.sees(f"sessions.receipt_refusal.{refusal}")
    expect(console.page.get_by_label(console.text("sessions.receipt_line"))).to_have_count(0)


def test_a_plant_admin_sees_the_session_but_no_replay(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("zhang", "/sessions/ses_2")
    console.sees("sessions.replay_by_auditor")
    expect(console.page.get_by_role("link", name=console.text("sessions.replay"))).to_have_count(0)


def test_live_sessions_are_listed_alone(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    console.sign_in("zhang", "/sessions")
    expect(console.page.get_by_role("row")).to_have_count(len(plant.house.sessions) + 1)
    console.page.get_by_text(console.text("sessions.live"), exact=True).click()
    expect(console.page.get_by_role("row")).to_have_count(2)


def test_a_live_session_is_cut_with_a_reason_and_shown_as_over_only_when_it_is(
    open_console: Opener, plant: Plant
) -> None:
    console = open_console()
    console.sign_in("zhang", "/sessions/ses_1")
    console.button("sessions.cut").click()
    dialog = console.page.get_by_role("dialog")
    dialog.get_by_label(console.text("app.reason")).fill("Wrong machine")
    dialog.get_by_role("button", name=console.text("sessions.cut"), exact=True).click()
    console.sees("sessions.cut_ordered")
    expect(console.page.get_by_text(console.text("sessions.state.closing"), exact=True)).to_be_visible()
    expect(console.page.get_by_text(console.text("sessions.state.closed"), exact=True)).to_have_count(0)
    assert plant.house.audit[-1].params == {"reason": "Wrong machine"}
