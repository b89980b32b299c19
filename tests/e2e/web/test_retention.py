"""Holds and purges: who may ask, who confirms, what is refused and why, and what stays of a destroyed recording."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.web.conftest import DESKTOP, PHONE, Opener, Plant
from tests.e2e.web.console import Console
from tests.e2e.web.fake_retention import archive_of

pytestmark = pytest.mark.browser


def _panel(console: Console, key: str = "recordings.retention") -> Locator:
    return console.page.get_by_role("region", name=console.text(key), exact=True).first


def _say_why(console: Console, action: str, reason: str) -> None:
    dialog = console.page.get_by_role("dialog")
    dialog.get_by_label(console.text("app.reason")).fill(reason)
    dialog.get_by_role("button", name=action, exact=True).click()
    expect(dialog).to_be_hidden()


def _ask(console: Console, count: int = 1) -> None:
    action = console.text("recordings.ask_purge", count=count)
    console.page.get_by_role("button", name=action, exact=True).click()
    _say_why(console, action, "The disk is full of last winter")
    console.sees("recordings.purge_asked_done")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_one_asks_another_reviews_the_list_and_destroys_it(
    open_console: Opener, plant: Plant, language: str, size: tuple[int, int]
) -> None:
    asker = open_console(size=size, language=language)
    asker.sign_in("root", "/retention")
    asker.page.get_by_label(asker.text("recordings.choose_all")).check()
    _ask(asker, count=2)
    expect(asker.page.get_by_text(asker.text("recordings.keeping.asked")).first).to_be_visible()
    expect(asker.page.get_by_label(asker.text("recordings.choose_all"))).to_have_count(0)
    auditor = open_console(size=size, language=language)
    auditor.sign_in("audit", "/retention")
    auditor.page.get_by_role("link", name=re.compile("^2 ")).click()
    auditor.sees("recordings.purge_state.asked")
    expect(auditor.page.get_by_text("Wang Lei 王磊 · line3-plc-gw01").first).to_be_visible()
    assert archive_of(plant.house).destroyed == {}
    auditor.button("recordings.confirm").click()
    auditor.page.get_by_role("dialog").get_by_role("button", name=auditor.text("recordings.confirm")).click()
    auditor.sees("recordings.purge_state.confirmed")
    assert sorted(archive_of(plant.house).destroyed) == ["rec_4", "rec_5"]
    auditor.go("/recordings/rec_4")
    auditor.sees("recordings.finding.purged")
    tombstone = auditor.page.get_by_label(auditor.text("recordings.tombstone"))
    expect(tombstone).to_have_value(re.compile("rec_4.*psn_root.*psn_audit"))
    assert "recordings.recording.replayed" not in {record.code for record in plant.house.audit}


def test_a_recording_that_is_too_young_cannot_be_asked_for_and_the_page_says_until_when(open_console: Opener) -> None:
    console = open_console(size=PHONE)
    console.sign_in("root", "/retention/recordings/rec_2")
    ask = console.page.get_by_role("button", name=console.text("recordings.ask_purge", count=1))
    expect(ask).to_be_disabled()
    before, after = console.text("recordings.barrier.too_young").split("{until}")
    expect(_panel(console)).to_contain_text(re.compile(re.escape(before) + r"\w.*\d\d:\d\d.*" + re.escape(after)))


def test_an_auditor_holds_a_recording_and_only_a_security_administrator_releases_it(
    open_console: Opener, plant: Plant
) -> None:
    auditor = open_console()
    auditor.sign_in("audit", "/recordings/rec_4")
    auditor.button("recordings.place_hold").click()
    _say_why(auditor, auditor.text("recordings.place_hold"), "Accident of line 3")
    expect(_panel(auditor)).to_contain_text(auditor.text("recordings.keeping.on_hold"))
    expect(_panel(auditor)).to_contain_text("Accident of line 3")
    expect(auditor.button("recordings.lift_hold")).to_have_count(0)
    # The replay of a recording is written into the trail, so a hold does not read it again.
    assert [record.code for record in plant.house.audit].count("recordings.recording.replayed") == 1
    asker = open_console()
    asker.sign_in("root", "/retention/recordings/rec_4")
    asker.sees("recordings.barrier.on_hold")
    expect(asker.page.get_by_role("button", name=asker.text("recordings.ask_purge", count=1))).to_be_disabled()
    security = open_console()
    security.sign_in("sec", "/retention")
    security.button("recordings.lift_hold").click()
    _say_why(security, security.text("recordings.lift_hold"), "The case is closed")
    security.sees("recordings.no_holds")
    security.go("/retention/recordings/rec_4")
    expect(_panel(security)).to_contain_text("The case is closed")
    assert [record.code for record in plant.house.audit][-2:] == ["recordings.hold.placed", "recordings.hold.lifted"]


def test_a_hold_placed_while_the_list_is_reviewed_keeps_all_of_it(open_console: Opener, plant: Plant) -> None:
    asker = open_console()
    asker.sign_in("root", "/retention")
    asker.page.get_by_label(asker.text("recordings.choose_all")).check()
    _ask(asker, count=2)
    (purge_id,) = archive_of(plant.house).purges
    auditor, other = open_console(), open_console()
    auditor.sign_in("audit", f"/retention/purges/{purge_id}")
    expect(auditor.button("recordings.confirm")).to_be_enabled()
    other.sign_in("audit", "/recordings/rec_5")
    other.button("recordings.place_hold").click()
    _say_why(other, other.text("recordings.place_hold"), "Accident of line 3")
    auditor.button("recordings.confirm").click()
    auditor.page.get_by_role("dialog").get_by_role("button", name=auditor.text("recordings.confirm")).click()
    auditor.sees("recordings.problem.purge_on_hold", id="rec_5")
    assert archive_of(plant.house).destroyed == {}
    auditor.sees("recordings.purge_is_barred", count=1)
    barred = (
        _panel(auditor, "recordings.list")
        .get_by_role("row")
        .filter(has_text=auditor.text("recordings.keeping.on_hold"))
    )
    expect(barred).to_have_count(1)
    expect(auditor.button("recordings.confirm")).to_be_disabled()
    auditor.button("recordings.decline").click()
    _say_why(auditor, auditor.text("recordings.decline"), "rec_5 is held")
    auditor.sees("recordings.purge_state.declined")
    expect(auditor.page.get_by_text("rec_5 is held")).to_be_visible()


def test_who_asked_may_withdraw_and_is_not_offered_the_decision(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    console.sign_in("root", "/retention/recordings/rec_4")
    _ask(console)
    _panel(console).get_by_role("link", name=console.text("recordings.to_purge")).click()
    console.sees("recordings.purge_yours")
    expect(console.button("recordings.confirm")).to_have_count(0)
    # Who may not see sessions is not told whose they were.
    expect(console.page.get_by_text("Wang Lei")).to_have_count(0)
    console.button("recordings.withdraw").click()
    console.sees("recordings.purge_state.withdrawn")
    assert archive_of(plant.house).destroyed == {}


@pytest.mark.parametrize("level", ["good", "unknown", "short", "soon", "full"])
def test_the_forecast_is_said_in_words(open_console: Opener, plant: Plant, level: str) -> None:
    known = plant.house.forecast
    assert known is not None
    nothing = {"days_until_full": None, "full_at": None, "days_held": None} if level == "unknown" else {}
    plant.house.forecast = known.model_copy(update={"level": level, **nothing})
    console = open_console(size=PHONE)
    console.sign_in("audit", "/retention")
    storage = _panel(console, "recordings.storage")
    expect(storage).to_contain_text(console.text(f"recordings.forecast.{level}"))
    expect(storage).to_contain_text(console.text(f"recordings.forecast_text.{level}", keep=180))
    expect(storage).to_contain_text(
        console.text("recordings.no_end") if nothing else console.text("recordings.days", days=96)
    )


def test_a_plant_admin_reads_retention_and_changes_nothing(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("zhang", "/retention/recordings/rec_4")
    expect(_panel(console)).to_contain_text(console.text("recordings.keeping.over"))
    expect(_panel(console).get_by_role("button")).to_have_count(0)
