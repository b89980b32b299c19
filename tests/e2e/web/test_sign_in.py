"""Sign-in, activation, language, and that everybody sees their own pages only."""

import pyotp
import pytest
from playwright.sync_api import expect

from tests.e2e.web.conftest import PHONE, Opener, Plant
from tests.e2e.web.fake_house import ACTIVATION, PASSWORD, SECRET

pytestmark = pytest.mark.browser
BOTH = pytest.mark.parametrize("language", ["en", "zh-CN"])


@BOTH
def test_a_wrong_code_is_refused_in_words_and_the_right_one_lets_in(open_console: Opener, language: str) -> None:
    console = open_console(language=language)
    console.go("/")
    console.fill_sign_in("zhang", PASSWORD, "000000")
    console.sees("identities.problem.sign_in_refused")
    console.fill_sign_in("zhang", PASSWORD, pyotp.TOTP(SECRET).now())
    console.heading("access_requests.approvals")


def test_sign_in_leads_to_the_page_that_was_asked_for(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("zhang", "/devices")
    console.heading("devices.devices")


@pytest.mark.parametrize(
    ("username", "pages"),
    [
        ("root", {"devices.nav", "identities.nav"}),
        ("sec", {"targets.nav"}),
        ("audit", {"sessions.nav", "audit.nav", "access_requests.nav"}),
        ("zhang", {"access_requests.nav", "devices.nav", "grants.nav", "sessions.nav"}),
    ],
)
def test_a_role_sees_its_own_pages(open_console: Opener, username: str, pages: set[str]) -> None:
    console = open_console()
    console.sign_in(username)
    navigation = console.page.get_by_role("navigation")
    for key in pages:
        expect(navigation.get_by_role("link", name=console.text(key), exact=True)).to_be_visible()
    foreign = "audit.nav" if username != "audit" else "identities.add"
    expect(navigation.get_by_role("link", name=console.text(foreign), exact=True)).to_have_count(0)


def test_a_page_of_another_role_is_not_there(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("sec", "/audit")
    console.heading("app.not_here")


def test_an_engineer_is_told_that_the_console_is_not_for_them(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("keller")
    console.heading("app.no_pages")


def test_signing_out_ends_the_session(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    console.sign_in("zhang")
    console.choose_in_menu("app.sign_out")
    console.heading("identities.sign_in")
    assert plant.house.signed_in == {}


def test_a_session_that_ended_on_the_server_asks_to_sign_in_again(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    console.sign_in("zhang", "/devices")
    plant.house.signed_in.clear()
    console.page.get_by_role("link", name=console.text("grants.nav"), exact=True).click()
    console.sees("identities.expired")


def test_the_language_changes_at_once_and_is_kept_by_the_server(open_console: Opener, plant: Plant) -> None:
    console = open_console(size=PHONE)
    console.sign_in("zhang")
    with console.page.expect_response("**/session/language"):
        console.choose_in_menu("app.language.zh")
    console.language = "zh-CN"
    console.heading("access_requests.approvals")
    assert console.page.locator("html").get_attribute("lang") == "zh-CN"
    assert plant.house.people["zhang"].language == "zh-CN"
    console.page.reload()
    console.heading("access_requests.approvals")


@BOTH
def test_activation_shows_the_second_factor_and_the_code_by_which_another_confirms_the_account(
    open_console: Opener, plant: Plant, language: str
) -> None:
    console = open_console(size=PHONE, language=language)
    console.go(f"/activate#{ACTIVATION}")
    console.sees("identities.activation_username", username="newcomer")
    assert ACTIVATION not in console.page.url
    expect(console.page.get_by_role("img", name=console.text("identities.qr")).locator("svg")).to_be_visible()
    shown = console.page.get_by_label(console.text("identities.secret_by_hand")).input_value()
    secret = shown.replace(" ", "")
    password = "ordinary weather report"
    console.page.get_by_label(console.text("identities.new_password")).fill(password)
    console.page.get_by_label(console.text("identities.password_again")).fill("ordinary weather")
    console.page.get_by_label(console.text("identities.totp")).fill("000000")
    console.button("identities.activate").click()
    console.sees("identities.passwords_differ")
    console.page.get_by_label(console.text("identities.password_again")).fill(password)
    console.button("identities.activate").click()
    console.sees("identities.problem.wrong_code")
    console.page.get_by_label(console.text("identities.totp")).fill(pyotp.TOTP(secret).now())
    console.button("identities.activate").click()
    console.heading("identities.activation_waits")
    expect(console.page.get_by_label(console.text("identities.confirmation_code"))).to_have_value("7K3M-Q0ZT")
    assert ACTIVATION not in plant.house.activations
    assert plant.house.people["newcomer"].state == "unconfirmed"
    plant.house.people["newcomer"].state = "active"
    console.sign_in("newcomer", password=password, secret=secret)


def test_a_used_activation_link_says_so(open_console: Opener) -> None:
    console = open_console()
    console.go("/activate#used-long-ago")
    console.sees("identities.problem.activation_refused")
