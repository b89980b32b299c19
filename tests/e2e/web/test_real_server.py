"""The same console against the real control plane: from the first administrator's link to the auditor's trail."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pyotp
import pytest
import uvicorn
from playwright.sync_api import expect

from broker.app import faces, keys, migrations, wiring
from broker.app.layout import Layout
from broker.app.settings import parse
from broker.identities.model import Role
from tests.e2e.web.conftest import DESKTOP, PHONE, Guard, Opener, Plant
from tests.e2e.web.console import Console
from tests.e2e.web.fake_house import build

pytestmark = pytest.mark.browser
PASSWORD = "ordinary weather report"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBD7Hq7q4lO0fVbZ3yT1uTgN9Zc2aJvX9oPq4n3Vb1mQ"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, str]]:
    """The address of a new site's plant face (without its TLS), and its first two administrators' activation tokens."""
    folder = tmp_path_factory.mktemp("site")
    settings = parse(
        {
            "site": {"name": "e2e", "state_dir": str(folder / "state"), "run_dir": str(folder / "run")},
            "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
            "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
            "users": {"opener": 61184, "guard": 61185, "gateway": 61186, "control": 61187},
        }
    )
    keys.initialise(settings, datetime.now(UTC), give_away=False)
    migrations.upgrade(Layout.of(settings).database_url(settings))
    with wiring.opened(settings) as house:
        token = house.people.first_administrator("chief").reveal()
        security = house.people.first_administrator("security", Role.SECURITY_ADMINISTRATOR).reveal()
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(faces.plant_face(house), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://localhost:{listener.getsockname()[1]}", token, security
        server.should_exit = True
        thread.join(timeout=5)
        listener.close()


@pytest.fixture
def plant(real: tuple[str, str, str]) -> Plant:
    return Plant(real[0], build())


def activate(console: Console, token: str, confirmer: Console | None = None, username: str = "") -> str:
    """Activates an account, has it confirmed when a confirmer is given, and gives its authenticator's secret."""
    console.go(f"/activate#{token}")
    secret = console.page.get_by_label(console.text("identities.secret_by_hand")).input_value().replace(" ", "")
    console.page.get_by_label(console.text("identities.new_password")).fill(PASSWORD)
    console.page.get_by_label(console.text("identities.password_again")).fill(PASSWORD)
    console.page.get_by_label(console.text("identities.totp")).fill(pyotp.TOTP(secret).now())
    console.button("identities.activate").click()
    console.heading("identities.activation_done" if confirmer is None else "identities.activation_waits")
    if confirmer is not None:
        code = console.page.get_by_label(console.text("identities.confirmation_code")).input_value()
        confirm(confirmer, username, code)
    return secret


def confirm(security: Console, username: str, code: str) -> None:
    """The security administrator confirms somebody who has read them this code."""
    security.go("/people")
    row = security.page.get_by_role("row", name=username)
    row.get_by_role("button", name=security.text("identities.confirm_open")).click()
    dialog = security.page.get_by_role("dialog")
    dialog.get_by_label(security.text("identities.confirmation_code")).fill(code)
    dialog.get_by_role("button", name=security.text("identities.confirm")).click()
    expect(row).to_contain_text(security.text("identities.state.active"))


def sign_in(console: Console, username: str, secret: str, path: str = "/") -> None:
    """Signs in with the next code, as the one of now was used by the activation."""
    console.go(path)
    console.fill_sign_in(username, PASSWORD, pyotp.TOTP(secret).at(datetime.now(UTC), counter_offset=1))
    expect(console.page.get_by_role("banner")).to_be_visible()


def add_person(console: Console, role: str, username: str, company: str | None = None) -> str:
    """Creates an account and gives its activation token."""
    console.button("identities.add").click()
    console.page.get_by_label(console.text("identities.role_label")).click()
    console.page.get_by_text(console.text(f"identities.role.{role}"), exact=True).last.click()
    console.page.get_by_label(console.text("identities.name"), exact=True).fill(f"Name of {username}")
    console.page.get_by_label(console.text("identities.username")).fill(username)
    if company is not None:
        console.page.get_by_label(console.text("identities.company")).fill(company)
    console.button("identities.create").click()
    key = "identities.activation_link" if company is None else "identities.activation_token"
    shown = console.page.get_by_label(console.text(key)).input_value()
    console.button("app.done").click()
    return shown.rsplit("#", 1)[-1]


def test_a_site_is_set_up_from_the_first_administrators_link(
    open_console: Opener, real: tuple[str, str, str], guard: Guard
) -> None:
    chief = open_console()
    sign_in(chief, "chief", activate(chief, real[1]))
    chief.heading("set_up.set_up")
    chief.sees("set_up.progress", done=1, all=11)
    chief.page.get_by_role("link", name=chief.text("set_up.do")).first.click()
    chief.heading("identities.people")
    tokens = {role: add_person(chief, role, role.replace("_", "-")) for role in ("plant_admin", "auditor")}
    add_person(chief, "vendor_engineer", "keller", "Keller Robotik GmbH")
    assert guard.faults == []

    security = open_console(language="zh-CN")
    sign_in(security, "security", activate(security, real[2]), "/targets")
    security.language = "en"
    security.heading("targets.targets")
    security.button("targets.add").click()
    page = security.page
    page.get_by_label(security.text("targets.name"), exact=True).fill("weld-hmi-02")
    page.get_by_label(security.text("targets.new_zone")).fill("Body shop")
    security.button("targets.add_zone").click()
    page.get_by_label(security.text("targets.address"), exact=True).fill("10.20.9.4")
    page.get_by_label(security.text("targets.host_key"), exact=True).fill(HOST_KEY)
    page.get_by_label(security.text("targets.accounts"), exact=True).fill("maint")
    page.get_by_label(security.text("targets.accounts"), exact=True).press("Enter")
    security.button("targets.create").click()
    page.get_by_role("link", name="weld-hmi-02").click()
    security.button("targets.put_credential").click()
    page.get_by_role("dialog").get_by_label(security.text("vault.password")).last.fill("secret of the panel")
    security.button("vault.keep_credential").click()
    security.sees("vault.credential_kept", account="maint")

    admin = open_console(size=PHONE)
    sign_in(admin, "plant-admin", activate(admin, tokens["plant_admin"], security, "plant-admin"))
    admin.sees("access_requests.none_waiting")
    for path, heading in [
        ("/grants", "grants.grants"),
        ("/sessions", "sessions.sessions"),
        ("/devices", "devices.devices"),
    ]:
        admin.go(path)
        admin.heading(heading)
    admin.button("devices.invite").click()
    admin.page.get_by_role("combobox").click()
    admin.page.get_by_text("Name of keller · Keller Robotik GmbH").last.click()
    admin.button("devices.invite_create").click()
    text = admin.page.get_by_label(admin.text("devices.invite_text")).input_value()
    assert re.fullmatch(r"sallyport-invite-1\.[A-Za-z0-9_-]+", text)
    admin.button("app.done").click()
    admin.choose_in_menu("app.language.zh")
    admin.language = "zh-CN"
    admin.heading("devices.devices")
    admin.choose_in_menu("app.sign_out")
    admin.heading("identities.sign_in")

    auditor = open_console(size=DESKTOP)
    sign_in(auditor, "auditor", activate(auditor, tokens["auditor"], security, "auditor"), "/audit")
    auditor.sees("audit.chain_holds")
    for code in (
        "identities.person.created",
        "identities.person.confirmed",
        "targets.target.created",
        "devices.invite.created",
        "vault.credential.put",
    ):
        expect(auditor.page.get_by_text(code, exact=True).first).to_be_visible()
    chief.go("/set-up")
    chief.sees("set_up.progress", done=5, all=11)
    for code in ("plant_admins", "vendor_engineer", "device"):
        chief.sees(f"set_up.waiting.{code}")
    auditor.page.get_by_label(auditor.text("audit.filter")).fill("identities.*")
    auditor.button("audit.apply").click()
    expect(auditor.page.get_by_text("devices.invite.created", exact=True)).to_have_count(0)
    auditor.go("/health")
    auditor.sees("health.not_all_ready")
    auditor.sees("health.part_missing.gateway")
    auditor.sees("audit.chain_holds")
