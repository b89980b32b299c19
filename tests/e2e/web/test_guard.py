"""The guard of these tests notices what it is there for."""

import pytest
from playwright.sync_api import Route

from tests.e2e.web.conftest import Guard, Opener

pytestmark = pytest.mark.browser


def test_a_page_without_its_nonce_is_noticed(open_console: Opener, guard: Guard) -> None:
    console = open_console()

    def without_nonce(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('property="csp-nonce"', 'property="nothing"'))

    console.page.route(f"{console.url}/", without_nonce)
    console.go("/")
    console.heading("identities.sign_in")
    assert any(fault.startswith("policy: style-src") for fault in guard.faults)
    console.page.close()
    guard.faults.clear()


def test_errors_and_foreign_requests_are_noticed(open_console: Opener, guard: Guard) -> None:
    console = open_console()
    console.go("/")
    console.heading("identities.sign_in")
    console.page.evaluate("setTimeout(() => { throw new Error('thrown') })")
    console.page.evaluate("fetch('http://127.0.0.2:9/').catch(() => {})")
    console.page.wait_for_timeout(200)
    kinds = {fault.split(":")[0] for fault in guard.faults}
    console.page.close()
    guard.faults.clear()
    assert {"page error", "policy"} <= kinds
