"""`sally doctor`: each finding, and the advice when nothing answers."""

import datetime as dt
import errno
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spa_knock.client import knocking
from spa_knock.client.connecting import Trace
from spa_knock.client.doctor import State, examine, judge_certificate, judge_clock, judge_gate_keys
from spa_knock.client.home import Home, KnockState, write_private
from spa_knock.client.ssh_config import install, write_ssh_files
from spa_knock.wire.keys import day_at
from tests.unit.spa_knock.client.conftest import RunningAgent
from tests.unit.spa_knock.client.fake_site import FakeSite, certify

KEY = Ed25519PrivateKey.generate()
CERTIFICATE = certify("device", KEY.public_key(), ("ca", KEY))
NOW = dt.datetime.now(dt.UTC)
TODAY = day_at(int(NOW.timestamp()))


def state(days: int = 30, *, offset_ms: int = 0, signed_in_before: bool = True) -> KnockState:
    return KnockState(
        knock_key=b"k" * 32,
        day_keys={TODAY + day: b"d" * 32 for day in range(days + 1)},
        clock_offset_ms=offset_ms,
        seen_from=("a", "b") if signed_in_before else None,
    )


def test_a_certificate_is_judged_by_its_end() -> None:
    assert judge_certificate(CERTIFICATE, NOW).state is State.OK
    assert judge_certificate(CERTIFICATE, NOW + dt.timedelta(days=80)).state is State.WARNING
    assert judge_certificate(CERTIFICATE, NOW + dt.timedelta(days=91)).state is State.FAILED


def test_gate_keys_are_judged_by_the_days_they_cover() -> None:
    assert judge_gate_keys(state(30), NOW).state is State.OK
    assert judge_gate_keys(state(5), NOW).state is State.WARNING
    assert judge_gate_keys(state(5), NOW + dt.timedelta(days=6)).state is State.FAILED


def test_the_clock_is_judged_by_the_last_login_and_the_enrolment() -> None:
    assert judge_clock(state(), CERTIFICATE, NOW).state is State.OK
    assert judge_clock(state(signed_in_before=False), CERTIFICATE, NOW).state is State.OK
    wrong = judge_clock(state(offset_ms=45_000), CERTIFICATE, NOW)
    assert (wrong.state, "-45.0 s" in wrong.found) == (State.WARNING, True)
    assert judge_clock(state(), CERTIFICATE, NOW - dt.timedelta(days=2)).state is State.FAILED


def test_a_healthy_client_reaches_its_site(agent: RunningAgent, tmp_path: Path) -> None:
    config = tmp_path / "config"
    write_ssh_files(agent.home, agent.home.enrolment().site)
    install(agent.home, config)
    findings = examine(agent.home, config, reach=True)
    assert {one.state for one in findings} == {State.OK}
    assert [one.name for one in findings] == [
        "program",
        "enrolment",
        "device key",
        "knock keys",
        "clock",
        "ssh",
        "knock",
    ]


def test_an_unanswered_knock_comes_with_advice(
    site: FakeSite, agent: RunningAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knocking, "ROUND_SECONDS", (0.2,))
    monkeypatch.setattr("spa_knock.client.vendor_link.connect_within", lambda *_: None)
    finding = examine(agent.home, tmp_path / "config", reach=True)[-1]
    assert (finding.name, finding.state) == ("knock", State.FAILED)
    for words in ("phone", f"UDP {site.knock_port}", f"TCP {site.port(1)}", "still trusted"):
        assert words in finding.do


def test_an_unanswered_knock_comes_with_what_this_computer_saw(
    agent: RunningAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knocking, "ROUND_SECONDS", (0.2,))

    def refused(_address: str, _port: int, _seconds: float, trace: Trace) -> None:
        trace.errors.add(errno.ECONNREFUSED)

    monkeypatch.setattr("spa_knock.client.vendor_link.connect_within", refused)
    findings = examine(agent.home, tmp_path / "config", reach=True)
    found = [one for one in findings if one.name == "cause"]
    assert "certain: something refused the connection" in found[0].found
    assert all(one.do for one in found)
    assert findings[-1].name == "knock"


def test_without_a_device_only_that_is_said(home: Home, tmp_path: Path) -> None:
    findings = examine(home, tmp_path / "config", reach=True)
    assert [one.state for one in findings] == [State.OK, State.FAILED]
    assert "sally enroll" in findings[-1].do


@pytest.mark.parametrize("content", [b"nothing", b"\xff"])
def test_a_damaged_certificate_is_found(enrolled: Home, tmp_path: Path, content: bytes) -> None:
    write_private(enrolled.certificate_path, content)
    finding = examine(enrolled, tmp_path / "config", reach=False)[-1]
    assert (finding.name, finding.state) == ("enrolment", State.FAILED)
    assert "device.pem" in finding.found


def test_a_missing_include_is_a_warning(enrolled: Home, tmp_path: Path) -> None:
    finding = examine(enrolled, tmp_path / "config", reach=False)[-1]
    assert (finding.name, finding.state) == ("ssh", State.WARNING)
