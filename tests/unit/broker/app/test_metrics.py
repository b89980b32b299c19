import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from broker.adapters.opener import OpenerStatus
from broker.app import faces, metrics
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.metrics import Family, SiteMetrics, rendered
from broker.app.settings import Settings
from broker.knock_link.model import GuardStatus, LinkHealth
from broker.sessions.events import SessionRefused

_TOKEN = "t" * 40


def _refused(code: str) -> SessionRefused:
    return SessionRefused(
        actor="dev_1",
        subject="dev_1",
        device_id="dev_1",
        grant_id="",
        source="198.51.100.7",
        protocol="ssh",
        knock_id="00" * 12,
        refusal=code,
        rule_id="",
        policy_version="1",
    )


@pytest.fixture
def site_metrics(house: House, settings: Settings) -> SiteMetrics:
    return SiteMetrics(house, Layout.of(settings))


def test_a_family_is_written_as_the_format_wants_it() -> None:
    families = [
        Family("x_total", "counter", "How many.", "code", {'b"\\\n': 2, "a": 1.5}),
        Family("y", "gauge", "How full.", samples={"": 3.0}),
        Family("z", "gauge", "Not known."),
    ]
    assert rendered(families) == (
        "# HELP x_total How many.\n# TYPE x_total counter\n"
        'x_total{code="a"} 1.5\nx_total{code="b\\"\\\\\\n"} 2\n'
        "# HELP y How full.\n# TYPE y gauge\ny 3\n"
    )


def test_every_line_of_a_new_site_is_well_formed_and_named_by_the_rules(site_metrics: SiteMetrics) -> None:
    lines = site_metrics.text().splitlines()
    kinds = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE"))
    for line in lines:
        if not line.startswith("#"):
            matched = re.fullmatch(r'(sallyport_[a-z_]+)(\{[a-z]+="[^"]*"\})? -?[0-9.e+]+', line)
            assert matched, line
            assert (kinds[matched.group(1)] == "counter") == matched.group(1).endswith("_total")
    assert 'sallyport_part_ready{part="guard"} 0' in lines
    assert 'sallyport_sessions{state="live"} 0' in lines
    assert "sallyport_outbox_waiting 0" in lines
    assert any(line.startswith("sallyport_recordings_free_bytes ") for line in lines)
    assert "sallyport_recordings_keep_days 180" in lines
    assert "sallyport_recordings_waiting_for_removal 0" in lines
    assert sum(line.startswith("sallyport_recordings_forecast{") and line.endswith(" 1") for line in lines) == 1
    assert not any(line.startswith("sallyport_recordings_days_until_full") for line in lines)
    assert any(
        line.startswith('sallyport_certificate_expiry_timestamp_seconds{certificate="console"}') for line in lines
    )


def test_events_are_counted_once_and_refusals_by_their_code(house: House, site_metrics: SiteMetrics) -> None:
    for code in ("outside_window", "outside_window", "device_not_trusted"):
        with house.database.unit_of_work() as unit:
            unit.emit(_refused(code))
    lines = site_metrics.text().splitlines()
    assert 'sallyport_audit_events_total{code="sessions.session.refused"} 3' in lines
    assert 'sallyport_admissions_refused_total{code="outside_window"} 2' in lines
    assert "sallyport_audit_last_seq 3" in lines
    assert "198.51.100.7" not in "".join(lines)
    assert "dev_1" not in "".join(lines)


def test_refusals_cannot_fill_the_memory(site_metrics: SiteMetrics) -> None:
    for number in range(500):
        site_metrics._count(_refused(f"code_{number}"))
    assert len(site_metrics._refusals) == 101
    assert site_metrics._refusals["other"] == 400


def test_knocks_are_told_as_the_guard_counts_them() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    status = GuardStatus("armed", 7, {"accepted": 4, "refused_gate": 90, "refused_clock": 1}, (62201,), now)
    text = rendered(metrics.of_guard(LinkHealth(True, status, 7)))
    assert 'sallyport_guard_state{state="armed"} 1' in text
    assert "sallyport_knocks_accepted_total 4" in text
    assert 'sallyport_knocks_refused_total{reason="gate"} 90' in text
    assert metrics.of_guard(LinkHealth(False, None, 0)) == []


def test_a_guard_that_accepts_nothing_says_why() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    counters = {"shed_at_socket": 12}
    status = GuardStatus("degraded", 7, counters, (62201,), now, faults=("clock", "firewall"), gate="length_only")
    text = rendered(metrics.of_guard(LinkHealth(True, status, 7)))
    assert 'sallyport_guard_fault{fault="clock"} 1' in text
    assert 'sallyport_guard_fault{fault="firewall"} 1' in text
    assert 'sallyport_knock_gate{gate="length_only"} 1' in text
    assert "sallyport_knocks_shed_at_socket_total 12" in text


def test_what_the_kernel_sheds_is_told_by_stage() -> None:
    status = OpenerStatus(
        rules_are_whole=False,
        counters={"shed_nonce": 4},
        windows=(),
        windows_total=1,
        ways=(),
        ways_total=2,
        revoked_total=3,
        used_nonces_total=5,
    )
    text = rendered(metrics.of_firewall(status))
    assert 'sallyport_firewall_packets_total{stage="shed_nonce"} 4' in text
    assert 'sallyport_firewall_elements{set="seen"} 5' in text
    assert "sallyport_firewall_whole 0" in text


def test_only_who_holds_the_token_reads(house: House, site_metrics: SiteMetrics) -> None:
    client = TestClient(faces.plant_face(house, metrics.router(site_metrics, _TOKEN)))
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {_TOKEN}"}, {"X-Token": _TOKEN}):
        answer = client.get("/metrics", headers=header)
        assert (answer.status_code, answer.text) == (401, "")
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {_TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == metrics.CONTENT_TYPE
    assert answer.text.endswith("\n")


def test_without_a_token_there_is_nothing(house: House, site_metrics: SiteMetrics) -> None:
    client = TestClient(faces.plant_face(house, metrics.router(site_metrics, None)))
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_a_token_comes_from_a_file_and_is_long(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{_TOKEN}\n")
    assert metrics.token_of("") is None
    assert metrics.token_of(str(path)) == _TOKEN
    path.write_text("short\n")
    with pytest.raises(metrics.MetricsError, match="fewer than 32"):
        metrics.token_of(str(path))
    with pytest.raises(metrics.MetricsError, match="cannot be read"):
        metrics.token_of(str(tmp_path / "absent"))
