"""Deciding on requests, on a phone of 360 pixels and at a desk."""

import re
from datetime import datetime

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.web.conftest import DESKTOP, PHONE, Opener, Plant

pytestmark = pytest.mark.browser
BOTH = pytest.mark.parametrize("language", ["en", "zh-CN"])


@BOTH
def test_a_request_is_approved_on_a_phone_with_the_facts_before_the_actions(
    open_console: Opener, plant: Plant, language: str
) -> None:
    console = open_console(size=PHONE, language=language)
    console.sign_in("zhang")
    console.page.get_by_role("link", name="weld-hmi-02").click()
    console.heading("access_requests.wants", person="J. Keller", target="weld-hmi-02")
    expect(console.page.get_by_role("article")).to_have_count(1)
    console.sees("access_requests.notice.source_differs", value="203.0.113.77")
    console.sees("access_requests.notice.device_key_in_file")
    expect(console.page.get_by_text("access_requests.something_new · 3")).to_be_visible()

    approve = console.page.get_by_role("button", name=_prefix(console.text("access_requests.approve")))
    facts = console.page.get_by_text("WO-2026-11001").bounding_box()
    notices = console.page.get_by_text(console.text("access_requests.unusual"), exact=True).bounding_box()
    action = approve.bounding_box()
    assert facts is not None
    assert notices is not None
    assert action is not None
    assert notices["y"] < facts["y"] < action["y"]
    assert action["height"] >= 40
    assert console.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]

    approve.click()
    console.heading("access_requests.outcome.approved")
    assert plant.house.requests["req_1"].state == "approved"
    assert plant.house.requests["req_1"].decided_by is not None
    assert "grt_9" in plant.house.grants


def test_a_shorter_time_is_granted_when_the_approver_chooses_it(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    console.sign_in("zhang", "/access-requests/req_1")
    console.page.get_by_text("1 hr", exact=True).click()
    console.page.get_by_role("button", name="Approve 1 hr", exact=True).click()
    console.heading("access_requests.outcome.approved")
    item = plant.house.requests["req_1"]
    assert _seconds(item.ends_at) - _seconds(item.starts_at) == 3600


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
@BOTH
def test_a_request_is_denied_with_a_reason(
    open_console: Opener, plant: Plant, language: str, size: tuple[int, int]
) -> None:
    console = open_console(size=size, language=language)
    console.sign_in("zhang", "/access-requests/req_2")
    console.button("access_requests.deny_open").click()
    console.button("access_requests.deny").click()
    console.sees("app.reason_needed")
    assert plant.house.requests["req_2"].state == "submitted"
    console.button("access_requests.quick.not_now").click()
    console.button("access_requests.deny").click()
    console.heading("access_requests.outcome.denied")
    assert plant.house.requests["req_2"].decision_reason == console.text("access_requests.quick.not_now")


def test_a_request_somebody_else_decided_is_shown_as_decided_and_nothing_is_claimed(
    open_console: Opener, plant: Plant
) -> None:
    console = open_console()
    console.sign_in("zhang", "/access-requests/req_1")
    approve = console.page.get_by_role("button", name=_prefix(console.text("access_requests.approve")))
    expect(approve).to_be_visible()
    plant.house.requests["req_1"].state = "withdrawn"
    approve.click()
    console.heading("access_requests.outcome.withdrawn")


def test_an_approval_is_not_shown_before_the_server_has_answered(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    console.sign_in("zhang", "/access-requests/req_1")
    waiting: list[Route] = []
    console.page.route("**/approve", lambda route: waiting.append(route))
    console.page.get_by_role("button", name=_prefix(console.text("access_requests.approve"))).click()
    console.page.wait_for_timeout(400)
    expect(console.page.get_by_text(console.text("access_requests.outcome.approved"), exact=True)).to_have_count(0)
    waiting[0].abort()
    console.sees("app.problem.network")
    assert plant.house.requests["req_1"].state == "submitted"


def _prefix(text: str) -> re.Pattern[str]:
    return re.compile("^" + re.escape(text.split("{")[0]))


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
