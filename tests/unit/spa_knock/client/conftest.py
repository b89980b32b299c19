"""A fake site, an empty client home, and an enrolled one."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spa_knock.client.agent import Server
from spa_knock.client.control import ControlLink
from spa_knock.client.enrolment import enroll
from spa_knock.client.home import Home
from spa_knock.client.invite import parse_invite
from spa_knock.client.session import Holder
from spa_knock.client.verbs import Verbs
from tests.unit.spa_knock.client.fake_site import FakeSite


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests: these read what is said in English unless they choose another language."""
    monkeypatch.setenv("SALLY_LANG", "en")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FakeSite]:
    folder = tmp_path / "site"
    folder.mkdir()
    with FakeSite(folder) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", {})


@pytest.fixture
def enrolled(site: FakeSite, home: Home) -> Home:
    enroll(home, parse_invite(site.invite()), "laptop 7", replace=False)
    return home


@dataclass
class RunningAgent:
    """An agent in this process, and a way to ask it."""

    home: Home
    holder: Holder
    server: Server
    verbs: Verbs

    def ask(self, kind: str, **fields: object) -> dict[str, object]:
        with ControlLink(self.home.run_path / "control.sock") as link:
            return link.ask(kind, **fields)

    def login(self) -> dict[str, object]:
        return self.ask("login", username="li.wei", password="correct horse", totp="123456")


@pytest.fixture
def agent(enrolled: Home) -> Iterator[RunningAgent]:
    holder = Holder()
    verbs = Verbs(enrolled, holder)
    server = Server(enrolled, verbs, holder)
    ready = threading.Event()
    thread = threading.Thread(target=server.serve, args=(ready.set,))
    thread.start()
    assert ready.wait(5)
    yield RunningAgent(enrolled, holder, server, verbs)
    server.stop()
    thread.join(10)
    assert not thread.is_alive()
