"""A person's browser: signs in at the console and does one task there, in a real headless Chromium.

Runs as a process at the person's desk, so the browser's traffic leaves from the office. Reads its order as one JSON
object from standard input and prints what the person read on the page as another. It finds things as a person does: by
the words on the page, which are read from the console's own texts in the person's language.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from playwright.sync_api import Error, Locator, Page, expect, sync_playwright

CHROMIUM: Final = "/usr/bin/chromium"
_TEXTS: Final = Path(__file__).resolve().parents[2] / "web" / "src"
_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_WAIT_MS: Final = 15_000
_REPLAY_MS: Final = 60_000

Order = Mapping[str, str]


class Words:
    """The console's texts in one language."""

    def __init__(self, language: str) -> None:
        self._texts: dict[str, str] = {}
        for path in sorted(_TEXTS.glob(f"*/texts.{language}.json")):
            self._texts |= json.loads(path.read_text(encoding="utf-8"))

    def __call__(self, key: str, **values: str) -> str:
        text = self._texts[key]
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def pattern(self, key: str, **values: str) -> re.Pattern[str]:
        """The text as the beginning of a name; spaces may stand inside: buttons set two Chinese characters apart."""
        text = re.sub(r"\{\w+\}.*", "", self(key, **values)).strip()
        return re.compile(r"^\s*" + r"\s*".join(re.escape(letter) for letter in text if not letter.isspace()))


def trust_device(page: Page, words: Words, order: Order) -> dict[str, str]:
    """Trust a waiting device by the short code that was read aloud."""
    page.goto(f"{order['url']}/devices")
    row = page.get_by_role("row").filter(has_text=order["device"]).filter(has_text=words("devices.state.pending"))
    row.get_by_role("button", name=words.pattern("devices.trust")).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(words("devices.short_code")).fill(order["short_code"])
    dialog.get_by_role("button", name=words.pattern("devices.trust_confirm")).click()
    trusted = page.get_by_role("row").filter(has_text=order["device"]).filter(has_text=words("devices.state.trusted"))
    expect(trusted).to_be_visible()
    return {"state": "trusted", "row": _text(trusted)}


def approve(page: Page, words: Words, order: Order) -> dict[str, str]:
    """Read a request and approve it as it was asked for."""
    page.goto(f"{order['url']}/access-requests")
    page.get_by_role("link").filter(has_text=order["target"]).first.click()
    card = page.get_by_role("article")
    for told in ("engineer", "target", "reason", "work_order"):
        expect(card).to_contain_text(order[told])
    read = _text(card)
    card.get_by_role("button", name=words.pattern("access_requests.approve")).click()
    expect(card).to_contain_text(words("access_requests.state.approved"))
    return {"state": "approved", "card": read}


def replay(page: Page, words: Words, order: Order) -> dict[str, str]:
    """Open a session's recording, go to its blocked command, then let it play until a later word appears."""
    page.goto(f"{order['url']}/sessions/{order['session']}")
    page.get_by_role("link", name=words.pattern("sessions.replay")).click()
    verification = page.get_by_role("region", name=words("recordings.verification"))
    expect(verification).to_contain_text(words("recordings.finding.verified"))
    expect(verification).to_contain_text(words("recordings.state.sealed"))
    events = page.get_by_role("complementary", name=words("recordings.events"))
    word = words("recordings.kind.blocked")
    blocked = events.get_by_role("button").filter(has_text=word).filter(has_text=order["blocked"])
    blocked.click()
    player = page.get_by_role("region", name=words("recordings.player"))
    screen = player.locator(".ap-term-text")
    expect(screen).to_contain_text(order["before"])
    player.locator(".ap-playback-button").click()
    expect(screen).to_contain_text(order["after"], timeout=_REPLAY_MS)
    return {"verification": _text(verification), "blocked": _text(blocked), "screen": _text(screen)}


TASKS: Final[Mapping[str, Callable[[Page, Words, Order], dict[str, str]]]] = {
    "trust-device": trust_device,
    "approve": approve,
    "replay": replay,
}


def sign_in(page: Page, words: Words, order: Order) -> None:
    """Sign in with both factors."""
    page.goto(order["url"])
    page.get_by_label(words("identities.username"), exact=True).fill(order["username"])
    page.get_by_label(words("identities.password"), exact=True).fill(order["password"])
    page.get_by_label(words("identities.totp"), exact=True).fill(order["totp"])
    page.get_by_role("button", name=words.pattern("identities.sign_in")).click()
    expect(page.get_by_role("navigation")).to_be_visible()


def _text(found: Locator) -> str:
    return " ".join(found.inner_text().split())


def perform(order: Order) -> dict[str, str]:
    """Open a fresh browser, sign in, do the task; what the person read.

    Raises:
        Error: the page did not become what it should; the message ends with what it shows.
        AssertionError: the same, found by an expectation.
    """
    words = Words(order["language"])
    with sync_playwright() as playwright:
        trusted = f"--ignore-certificate-errors-spki-list={order['trusted_key']}"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_FLAGS, trusted])
        page = browser.new_context(locale=order["language"], viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(_WAIT_MS)
        expect.set_options(timeout=_WAIT_MS)
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        try:
            sign_in(page, words, order)
            return TASKS[order["task"]](page, words, order)
        except (Error, AssertionError) as error:
            shown = _text(page.locator("body"))[:1500]
            raise RuntimeError(f"{error}\nThe page {page.url} shows: {shown}\nIts console: {told[-5:]}") from error
        finally:
            browser.close()


def main() -> int:
    order = {str(name): str(value) for name, value in json.load(sys.stdin).items()}
    try:
        read = perform(order)
    except (Error, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump(read, sys.stdout, ensure_ascii=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
