"""The console as a person uses it: one method an intention, in either language."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Final

import pyotp
from playwright.sync_api import Page, expect

from tests.e2e.web.fake_house import PASSWORD, SECRET

WEB: Final = Path(__file__).parents[3] / "web"
SHOTS_VARIABLE: Final = "SALLYPORT_SHOTS"


@cache
def texts(language: str) -> dict[str, str]:
    """The console's own texts in a language."""
    found: dict[str, str] = {}
    for path in WEB.glob(f"src/*/texts.{language}.json"):
        found.update(json.loads(path.read_text(encoding="utf-8")))
    return found


class Console:
    def __init__(self, page: Page, url: str, language: str) -> None:
        self.page, self.url, self.language = page, url, language

    def text(self, key: str, **params: object) -> str:
        """A user text as the console would show it."""
        found = texts(self.language)[key]
        return re.sub(r"\{(\w+)\}", lambda hole: str(params.get(hole[1], hole[0])), found)

    def button(self, key: str, **params: object):  # type: ignore[no-untyped-def]
        return self.page.get_by_role("button", name=self.text(key, **params), exact=True)

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def fill_sign_in(self, username: str, password: str, totp: str) -> None:
        self.page.get_by_label(self.text("identities.username")).fill(username)
        self.page.get_by_label(self.text("identities.password"), exact=True).fill(password)
        self.page.get_by_label(self.text("identities.totp")).fill(totp)
        self.button("identities.sign_in").click()

    def sign_in(self, username: str, path: str = "/", *, password: str = PASSWORD, secret: str = SECRET) -> None:
        """Opens a path, signs in there and waits for the console's frame."""
        self.go(path)
        self.fill_sign_in(username, password, pyotp.TOTP(secret).now())
        expect(self.page.get_by_role("banner")).to_be_visible()

    def choose_in_menu(self, key: str) -> None:
        self.page.get_by_role("banner").get_by_role("button").click()
        self.page.get_by_role("menuitem", name=self.text(key)).click()

    def sees(self, key: str, **params: object) -> None:
        expect(self.page.get_by_text(self.text(key, **params)).first).to_be_visible()

    def heading(self, key: str, **params: object) -> None:
        expect(self.page.get_by_role("heading", name=self.text(key, **params))).to_be_visible()
