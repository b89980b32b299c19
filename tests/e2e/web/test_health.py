"""The health page and the steps of the set-up."""

import pytest
from playwright.sync_api import expect

from tests.e2e.web.conftest import Opener, Plant
from tests.e2e.web.fake_house import STEPS

pytestmark = pytest.mark.browser
BOTH = pytest.mark.parametrize("language", ["en", "zh-CN"])


@BOTH
def test_a_healthy_site_is_one_glance(open_console: Opener, language: str) -> None:
    console = open_console(language=language)
    console.sign_in("audit", "/health")
    console.sees("health.all_ready")
    console.sees("health.guard_state.armed")
    console.sees("health.counter.accepted")
    console.sees("health.witnessed")
    console.sees("audit.chain_holds")
    console.sees("health.days_left", days="12")
    console.sees("health.ended")
    console.sees("health.space_little")
    console.sees("health.object_store_good")
    expect(console.page.get_by_text("refused_something_new")).to_be_visible()


@BOTH
def test_an_object_store_that_fails_says_that_recordings_stay_here(
    open_console: Opener, plant: Plant, language: str
) -> None:
    known = plant.house.object_store
    assert known is not None
    plant.house.object_store = known.model_copy(update={"problem": "no_lock", "failing": 3})
    console = open_console(language=language)
    console.sign_in("audit", "/health")
    console.sees("health.object_store_problem.no_lock")
    console.sees("health.object_store_bad")
    plant.house.object_store = None
    console.button("health.again").click()
    expect(console.page.get_by_text(console.text("health.object_store_bad"))).to_have_count(0)


@BOTH
def test_a_part_that_does_not_answer_says_what_that_means(open_console: Opener, plant: Plant, language: str) -> None:
    plant.house.unready = {"guard", "gateway"}
    console = open_console(language=language)
    console.sign_in("zhang", "/health")
    console.sees("health.not_all_ready")
    console.sees("health.part_missing.guard")
    console.sees("health.part_missing.gateway")
    expect(console.page.get_by_text(console.text("health.not_ready"), exact=True)).to_have_count(2)
    expect(console.page.get_by_text(console.text("audit.chain_holds"))).to_have_count(0)
    plant.house.unready = set()
    console.button("health.again").click()
    console.sees("health.all_ready")


@BOTH
def test_who_sets_the_site_up_begins_with_what_is_left(open_console: Opener, plant: Plant, language: str) -> None:
    plant.house.open_steps = {"plant_admins": "waiting", "target": "open", "session": "open", "replay": "open"}
    console = open_console(language=language)
    console.sign_in("root")
    console.heading("set_up.set_up")
    console.sees("set_up.progress", done=len(STEPS) - 4, all=len(STEPS))
    expect(
        console.page.get_by_role("list").get_by_role("listitem").filter(has=console.page.get_by_role("heading"))
    ).to_have_count(len(STEPS))
    expect(console.page.locator("[aria-current=step]")).to_contain_text(console.text("set_up.step.plant_admins"))
    console.sees("set_up.theirs", role=console.text("identities.role.security_administrator"))
    console.page.get_by_role("link", name=console.text("set_up.do")).first.click()
    console.heading("identities.people")


def test_a_site_that_is_set_up_does_not_ask_for_it(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("root")
    console.heading("devices.devices")
    expect(console.page.get_by_role("link", name=console.text("set_up.nav"), exact=True)).to_have_count(0)


def test_a_plant_admin_begins_with_the_requests_also_during_set_up(open_console: Opener, plant: Plant) -> None:
    plant.house.open_steps = {"replay": "open"}
    console = open_console()
    console.sign_in("zhang")
    console.heading("access_requests.approvals")
    console.page.get_by_role("link", name=console.text("set_up.nav"), exact=True).click()
    console.sees("set_up.step.replay")


@BOTH
def test_a_firewall_that_somebody_changed_is_told(open_console: Opener, plant: Plant, language: str) -> None:
    console = open_console(language=language)
    console.sign_in("root", "/health")
    console.sees("health.firewall_whole")
    plant.house.firewall_is_whole = False
    console.button("health.again").click()
    console.sees("health.firewall_changed")
