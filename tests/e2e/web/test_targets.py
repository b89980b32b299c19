"""Connection tests, and keys that are read from a machine before they are pinned."""

import pytest
from playwright.sync_api import expect

from broker.targets.rules import fingerprint
from tests.e2e.web.conftest import PHONE, Opener, Plant
from tests.e2e.web.fake_house import KEY

pytestmark = pytest.mark.browser
BOTH = pytest.mark.parametrize("language", ["en", "zh-CN"])
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBD7Hq7q4lO0fVbZ3yT1uTgN9Zc2aJvX9oPq4n3Vb1mQ"


@BOTH
def test_a_target_that_shows_its_pinned_key_is_told_as_good(open_console: Opener, language: str) -> None:
    console = open_console(language=language)
    console.sign_in("sec", "/targets/tgt_1")
    console.button("targets.test_now").click()
    console.sees("targets.key_matches")
    expect(console.page.locator(".test-result .verification-good")).to_be_visible()


@BOTH
def test_another_key_is_told_loudly_with_both_fingerprints(open_console: Opener, plant: Plant, language: str) -> None:
    plant.house.shown_key = OTHER_KEY
    console = open_console(language=language, size=PHONE)
    console.sign_in("sec", "/targets/tgt_1")
    console.button("targets.test_now").click()
    console.sees("targets.key_differs")
    console.sees("targets.outcome_text.key_differs")
    result = console.page.locator(".test-result .verification-bad")
    expect(result).to_contain_text(fingerprint(KEY))
    expect(result).to_contain_text(fingerprint(OTHER_KEY))
    assert console.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


@pytest.mark.parametrize(
    "outcome",
    [
        *("refused", "unreachable", "blocked_here", "no_answer", "silent", "not_the_protocol"),
        *("no_common_algorithm", "closed_early", "busy", "failed", "no_word", "unfit_key"),
    ],
)
def test_every_other_outcome_has_words_and_what_to_do(open_console: Opener, plant: Plant, outcome: str) -> None:
    plant.house.outcome = outcome
    console = open_console()
    console.sign_in("sec", "/targets/tgt_1")
    console.button("targets.test_now").click()
    console.sees(f"targets.outcome.{outcome}")
    console.sees(f"targets.outcome_text.{outcome}")


def test_a_key_is_read_from_the_machine_to_be_compared_before_it_is_pinned(open_console: Opener, plant: Plant) -> None:
    plant.house.shown_key = OTHER_KEY
    console = open_console()
    console.sign_in("sec", "/targets")
    console.button("targets.add").click()
    console.button("targets.fetch_key").click()
    console.sees("targets.address_needed")
    console.page.get_by_label(console.text("targets.address"), exact=True).fill("10.20.9.4")
    console.button("targets.fetch_key").click()
    console.sees("targets.fetched")
    expect(console.page.get_by_label(console.text("targets.host_key"), exact=True)).to_have_value(OTHER_KEY)
    expect(console.page.get_by_text(fingerprint(OTHER_KEY))).to_be_visible()
    plant.house.outcome = "no_answer"
    console.button("targets.fetch_key").click()
    console.sees("targets.outcome.no_answer")


def test_each_account_says_whether_its_credential_opens(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("sec", "/targets/tgt_1")
    console.sees("vault.state.bound")
    console.sees("vault.state.absent")
    console.go("/targets/tgt_2")
    console.sees("vault.state.detached")


@BOTH
def test_a_target_that_is_gone_is_retired_after_a_question_and_stays_readable(
    open_console: Opener, plant: Plant, language: str
) -> None:
    console = open_console(language=language, size=PHONE)
    console.sign_in("sec", "/targets/tgt_2")
    console.button("targets.retire").click()
    dialog = console.page.get_by_role("dialog")
    expect(dialog).to_contain_text(console.text("targets.retire_text"))
    dialog.get_by_role("button", name=console.text("app.cancel")).click()
    assert plant.house.targets["tgt_2"].retired_at is None
    console.button("targets.retire").click()
    dialog.get_by_role("button", name=console.text("targets.retire_confirm"), exact=True).click()
    console.sees("targets.state.retired")
    assert plant.house.targets["tgt_2"].retired_at is not None
    for gone in ("targets.retire", "targets.change_endpoint", "targets.test_now", "targets.put_credential"):
        expect(console.button(gone)).to_have_count(0)
    assert console.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    console.go("/targets")
    row = console.page.locator("tr, li, .card").filter(has_text="line3-plc-gw01").first
    expect(row).to_contain_text(console.text("targets.state.retired"))


def test_only_who_may_retire_a_target_is_offered_it(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("audit", "/targets/tgt_1")
    console.sees("targets.state.in_use")
    expect(console.button("targets.retire")).to_have_count(0)
