"""A person's browser: signs in at the console and does tasks there, in a real headless Chromium.

Runs as a process at the person's desk, so the browser's traffic leaves from the office. Reads each order as a line of
JSON from standard input and prints what the person read on the page as another; the first order opens the browser and
signs in, the end of the input closes it. It finds things as a person does: by the words on the page, which are read
from the console's own texts in the person's language.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
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
_WAIT_MS: Final = 60_000
_REPLAY_MS: Final = 120_000

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


def watch(page: Page, words: Words, order: Order) -> dict[str, str]:
    """Find a session under way in the list, go to its live page, and see what it has shown so far."""
    page.goto(f"{order['url']}/sessions/{order['session']}")
    page.get_by_role("link", name=words.pattern("sessions.watch")).click()
    return sees(page, words, order)


def sees(page: Page, words: Words, order: Order) -> dict[str, str]:
    """Wait until the session's screen shows something."""
    screen = page.get_by_role("region", name=words("sessions.screen")).locator(".xterm-rows")
    expect(screen).to_contain_text(order["shown"], timeout=_REPLAY_MS)
    return {"screen": _text(screen)}


def hold(page: Page, words: Words, order: Order) -> dict[str, str]:
    """Hold the engineer's input, with a reason, and read that it is held."""
    _with_reason(page, words, "sessions.freeze", order["reason"])
    held = page.get_by_text(words("sessions.held_since"))
    expect(held).to_be_visible()
    return {"state": _text(held)}


def let_go_on(page: Page, words: Words, order: Order) -> dict[str, str]:
    """Let the engineer's input go on, and read that it is held no longer."""
    _with_reason(page, words, "sessions.thaw", order["reason"])
    expect(page.get_by_text(words("sessions.held_since"))).to_have_count(0)
    return {}


def message(page: Page, words: Words, order: Order) -> dict[str, str]:
    """Write one line to the engineer."""
    page.get_by_label(words("sessions.message"), exact=True).fill(order["text"])
    page.get_by_role("button", name=words.pattern("sessions.message_send")).click()
    expect(page.get_by_text(words("sessions.message_sent"))).to_be_visible()
    return {}


def cut(page: Page, words: Words, order: Order) -> dict[str, str]:
    """Cut a session, with a reason, and read that it is over."""
    page.goto(f"{order['url']}/sessions/{order['session']}")
    _with_reason(page, words, "sessions.cut", order["reason"])
    over = page.get_by_text(words("sessions.state.closed"), exact=True).first
    expect(over).to_be_visible(timeout=_REPLAY_MS)
    return {"state": _text(over)}


def _with_reason(page: Page, words: Words, act: str, reason: str) -> None:
    page.get_by_role("button", name=words.pattern(act)).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(words("app.reason")).fill(reason)
    dialog.get_by_role("button", name=words.pattern(act)).click()
    expect(dialog).to_have_count(0)


TASKS: Final[Mapping[str, Callable[[Page, Words, Order], dict[str, str]]]] = {
    "trust-device": trust_device,
    "approve": approve,
    "replay": replay,
    "watch": watch,
    "sees": sees,
    "hold": hold,
    "let-go-on": let_go_on,
    "message": message,
    "cut": cut,
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


def perform(orders: Iterator[Order], tell: Callable[[dict[str, str]], None]) -> None:
    """Open a fresh browser, sign in, do the tasks; tells what the person read at each.

    Raises:
        RuntimeError: the page did not become what it should; the message ends with what it shows.
    """
    first = next(orders, None)
    if first is None:
        return
    words = Words(first["language"])
    with sync_playwright() as playwright:
        trusted = f"--ignore-certificate-errors-spki-list={first['trusted_key']}"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_FLAGS, trusted])
        page = browser.new_context(locale=first["language"], viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(_WAIT_MS)
        expect.set_options(timeout=_WAIT_MS)
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        try:
            sign_in(page, words, first)
            for order in chain((first,), orders):
                tell(TASKS[order["task"]](page, words, order))
        except (Error, AssertionError) as error:
            shown = _text(page.locator("body"))[:1500]
            raise RuntimeError(f"{error}\nThe page {page.url} shows: {shown}\nIts console: {told[-5:]}") from error
        finally:
            browser.close()


def main() -> int:
    def orders() -> Iterator[Order]:
        for line in sys.stdin:
            yield {str(name): str(value) for name, value in json.loads(line).items()}

    def tell(read: dict[str, str]) -> None:
        sys.stdout.write(json.dumps(read, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    try:
        perform(orders(), tell)
    except (Error, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
