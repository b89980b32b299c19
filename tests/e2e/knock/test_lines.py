"""The client on slow and lossy lines: real knocks, proofs, TLS and HTTP through a relay. Blocked: test_networks."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spa_knock.client.enrolment import enroll
from spa_knock.client.home import Home
from spa_knock.client.invite import parse_invite
from spa_knock.client.session import Holder
from spa_knock.client.site import Endpoint
from spa_knock.client.verbs import Verbs
from tests.e2e.knock.relay import Line, Relay
from tests.unit.spa_knock.client.fake_site import FakeSite

LOGIN: dict[str, object] = {"type": "login", "username": "li.wei", "password": "correct horse", "totp": "123456"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FakeSite]:
    (tmp_path / "site").mkdir()
    with FakeSite(tmp_path / "site") as found:
        yield found


@contextmanager
def behind(line: Line, site: FakeSite, tmp_path: Path) -> Iterator[tuple[Verbs, Home, Relay]]:
    """The verbs of a client that was enrolled on a good line and now reaches the site through this one."""
    home = Home(tmp_path / "home", {})
    enroll(home, parse_invite(site.invite()), "laptop 7", replace=False)
    with Relay(line) as relay:
        enrolment = home.enrolment()
        moved = dataclasses.replace(
            enrolment.site,
            vendor_face=Endpoint("127.0.0.1", (relay.tcp(site.port(1)),)),
            ssh=Endpoint("127.0.0.1", (relay.tcp(site.port(2)),)),
            knock=Endpoint("127.0.0.1", (relay.udp(site.knock_port), relay.udp(site.knock_port))),
        )
        home.write_enrolment(dataclasses.replace(enrolment, site=moved))
        verbs = Verbs(home, Holder())
        try:
            yield verbs, home, relay
        finally:
            verbs.close()


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.2])
def test_a_satellite_line_with_loss_signs_in(site: FakeSite, tmp_path: Path, loss: float) -> None:
    line = Line(one_way_seconds=0.3, rate=256_000, loss=loss)
    with behind(line, site, tmp_path) as (verbs, home, _):
        assert verbs.handle(LOGIN)[0]["type"] == "signed_in"
        assert home.knock_state().reached_at_ms > 0
