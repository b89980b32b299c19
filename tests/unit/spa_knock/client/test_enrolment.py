"""Enrolment: one knock with the invite, one answer, and a home that holds a device."""

import stat

import pytest

from spa_knock.client.enrolment import client_version, enroll, posture
from spa_knock.client.errors import ClientError
from spa_knock.client.home import Home, locked
from spa_knock.client.invite import parse_invite
from spa_knock.client.keys import check_device_certificate, load_device_key
from tests.unit.spa_knock.client.fake_site import FakeSite


def test_an_invite_makes_a_device_whose_files_are_private(site: FakeSite, home: Home) -> None:
    done = enroll(home, parse_invite(site.invite()), "laptop 7", replace=False)
    assert (done.short_code, done.state, done.device_name) == ("7K2M-Q9", "pending", "laptop 7")
    enrolment = home.enrolment()
    assert enrolment.device_id == done.device_id
    assert enrolment.short_code == "7K2M-Q9"
    assert enrolment.site.vendor_face.port == site.port(1)
    key = load_device_key(home.key_path)
    check_device_certificate(home.certificate_path.read_text(), key)
    assert home.knock_state().knock_key == site.devices[done.device_id].knock_key
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    for path in home.path.iterdir():
        assert path.is_dir() or stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert not [path for path in home.path.iterdir() if path.name.startswith((".tls", "device.new"))]


def test_the_invite_knocks_for_the_vendor_face_and_binds_its_own_key(site: FakeSite, home: Home) -> None:
    invite = parse_invite(site.invite())
    enroll(home, invite, "laptop", replace=False)
    (heard,) = site.heard
    assert heard.device_id == invite.device_id
    assert heard.body.service == 1
    assert heard.body.grant == bytes(16)


def test_a_second_enrolment_is_refused_unless_it_shall_replace_the_first(site: FakeSite, home: Home) -> None:
    first = enroll(home, parse_invite(site.invite()), "laptop", replace=False)
    with pytest.raises(ClientError, match="already enrolled"):
        enroll(home, parse_invite(site.invite()), "laptop", replace=False)
    second = enroll(home, parse_invite(site.invite()), "laptop", replace=True)
    assert home.enrolment().device_id == second.device_id != first.device_id


def test_a_spent_invite_leaves_the_home_without_a_device(site: FakeSite, home: Home) -> None:
    invite = parse_invite(site.invite())
    site.invite_code = "another"
    with pytest.raises(ClientError, match="used, expired or unknown") as refused:
        enroll(home, invite, "laptop", replace=False)
    assert refused.value.code == "devices.invite_refused"
    assert not home.is_enrolled()


def test_an_expired_invite_is_refused_before_anything_is_sent(site: FakeSite, home: Home) -> None:
    invite = parse_invite(site.invite())
    with pytest.raises(ClientError, match="time is over"):
        enroll(home, invite, "laptop", replace=False, now_ms=invite.expires_at_ms)
    assert site.heard == []
    assert not home.path.exists()


def test_nobody_enrols_beside_a_running_agent(site: FakeSite, home: Home) -> None:
    home.prepare()
    with locked(home), pytest.raises(ClientError) as refused:
        enroll(home, parse_invite(site.invite()), "laptop", replace=False)
    assert refused.value.code == "already_running"


def test_the_posture_says_how_the_key_is_kept() -> None:
    assert posture()["key_storage"] == "file"
    assert client_version()
