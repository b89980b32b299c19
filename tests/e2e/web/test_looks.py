"""Every page in both languages, light and dark, desk and phone: readable contrast, no sideways scrolling.

With SALLYPORT_SHOTS=<folder> each page is also photographed.
"""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.web.conftest import DESKTOP, PHONE, ROOT, Opener, Plant
from tests.e2e.web.fake_house import ACTIVATION
from tests.e2e.web.fake_retention import waiting_purge

pytestmark = pytest.mark.browser
PAGES = [
    (None, "/", "sign-in"),
    (None, f"/activate#{ACTIVATION}", "activation"),
    ("zhang", "/access-requests", "approvals"),
    ("zhang", "/access-requests/req_1", "request"),
    ("zhang", "/devices", "devices"),
    ("zhang", "/grants", "grants"),
    ("zhang", "/sessions", "sessions"),
    ("zhang", "/sessions/ses_1", "session-live"),
    ("zhang", "/sessions/ses_1/live", "live"),
    ("audit", "/sessions/ses_2", "session"),
    ("audit", "/recordings/rec_2", "replay"),
    ("audit", "/retention", "retention"),
    ("audit", "/retention/purges/{purge}", "purge"),
    ("audit", "/retention/recordings/rec_5", "held"),
    ("audit", "/audit", "audit"),
    ("audit", "/health", "health"),
    ("root", "/people", "people"),
    ("root", "/retention", "retention-asker"),
    ("root", "/retention/recordings/rec_2", "keeping"),
    ("root", "/set-up", "set-up"),
    ("sec", "/targets", "targets"),
    ("sec", "/targets/tgt_1", "target"),
]
LOOKS = [(DESKTOP, "en", False), (DESKTOP, "zh-CN", True), (PHONE, "zh-CN", False), (PHONE, "en", True)]


@pytest.mark.parametrize(
    ("size", "language", "dark"), LOOKS, ids=["desk-en", "desk-zh-dark", "phone-zh", "phone-en-dark"]
)
def test_pages_are_readable(
    open_console: Opener, plant: Plant, size: tuple[int, int], language: str, dark: bool
) -> None:
    found: list[str] = []
    last: str | None = None
    console = open_console(size=size, language=language, dark=dark)
    plant.house.open_steps = {"device": "waiting", "session": "open", "replay": "open"}
    purge = waiting_purge(plant.house)
    for username, pattern, name in PAGES:
        path = pattern.replace("{purge}", purge)
        if username is None or username == last:
            console.go(path)
        else:
            console = open_console(size=size, language=language, dark=dark)
            console.sign_in(username, path)
        last = username
        console.page.get_by_role("heading", level=1).first.wait_for()
        if name == "live":  # its line never falls idle
            console.page.locator("[data-view=live]").wait_for()
            console.page.get_by_text("ready").first.wait_for()
        else:
            console.page.wait_for_load_state("networkidle")
        found += _faults(console.page, name)
        _photograph(console.page, f"{name}-{language}-{'phone' if size == PHONE else 'desk'}{'-dark' if dark else ''}")
    assert not found, "\n" + "\n".join(found)


DIALOGS = [
    ("zhang", "/devices", ["devices.trust"], "trust"),
    ("zhang", "/devices", ["devices.invite"], "invite"),
    ("zhang", "/grants", ["grants.revoke"], "revoke"),
    ("zhang", "/sessions/ses_1/live", ["sessions.freeze"], "freeze"),
    ("zhang", "/access-requests/req_1", ["access_requests.deny_open", "access_requests.deny"], "deny"),
    ("audit", "/retention/recordings/rec_4", ["recordings.place_hold"], "hold-recording"),
    ("root", "/people", ["identities.add", "identities.create"], "person"),
    ("sec", "/targets", ["targets.add", "targets.create"], "target-new"),
    ("sec", "/targets/tgt_2", ["targets.put_credential"], "credential"),
    ("sec", "/targets/tgt_2", ["targets.change_endpoint", "targets.fetch_key"], "endpoint"),
    ("sec", "/targets/tgt_2", ["targets.retire"], "target-retire"),
    ("sec", "/targets/tgt_2", ["targets.test_now"], "connection-test"),
]


@pytest.mark.parametrize(("size", "language", "dark"), LOOKS[1:3], ids=["desk-zh-dark", "phone-zh"])
def test_dialogs_are_readable(open_console: Opener, size: tuple[int, int], language: str, dark: bool) -> None:
    found: list[str] = []
    last: str | None = None
    console = open_console(size=size, language=language, dark=dark)
    for username, path, buttons, name in DIALOGS:
        if username == last:
            console.go(path)
        else:
            console = open_console(size=size, language=language, dark=dark)
            console.sign_in(username, path)
        last = username
        for key in buttons:
            console.button(key).first.click()
        console.page.wait_for_timeout(300)
        found += _faults(console.page, name)
        _photograph(console.page, f"dialog-{name}-{language}-{'phone' if size == PHONE else 'desk'}")
    console.go("/")
    console.page.get_by_role("banner").get_by_role("button").click()
    console.page.wait_for_timeout(300)
    found += _faults(console.page, "menu")
    _photograph(console.page, f"dialog-menu-{language}-{'phone' if size == PHONE else 'desk'}")
    assert not found, "\n" + "\n".join(found)


def _faults(page: Page, name: str) -> list[str]:
    page.evaluate((ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    found = [
        f"{name}: {violation['id']}: {node['html'][:140]} {node['failureSummary'][:160]}"
        for violation in result["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"][:3]
    ]
    width = page.viewport_size["width"] if page.viewport_size else 0
    if page.evaluate("document.documentElement.scrollWidth") > width:
        found.append(f"{name}: wider than the screen")
    return found


def _photograph(page: Page, name: str) -> None:
    folder = os.environ.get("SALLYPORT_SHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=not name.startswith("dialog"))
