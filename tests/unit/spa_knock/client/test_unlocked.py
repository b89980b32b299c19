"""The device key in memory: its certificate is renewed and shown from a sign-in on."""

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from spa_knock.client import unlocked, verbs
from spa_knock.client.errors import ClientError
from spa_knock.client.home import Home
from tests.unit.spa_knock.client.conftest import RunningAgent
from tests.unit.spa_knock.client.fake_site import FakeSite


def common_name(home: Home) -> str:
    certificate = x509.load_pem_x509_certificates(home.certificate_path.read_bytes())[0]
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_a_renewal_keeps_the_session_and_its_certificate_is_shown_at_the_next_sign_in(
    site: FakeSite, agent: RunningAgent
) -> None:
    agent.login()
    before = agent.home.knock_state().knock_key
    answer = agent.ask("renew")
    assert str(answer["not_after"]).endswith("Z")
    assert agent.home.knock_state().knock_key != before
    assert common_name(agent.home) == "device"
    agent.ask("reach")  # The new knock key, the old certificate.
    assert agent.login()["renewed"] is False
    assert common_name(agent.home) == "renewed"
    assert not agent.home.next_certificate_path.exists()
    agent.ask("reach")


def test_a_device_whose_certificate_is_half_over_renews_itself_at_a_sign_in(
    site: FakeSite, agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlocked, "renewal_is_due", lambda *_: True)
    assert agent.login()["renewed"] is True
    assert agent.home.next_certificate_path.exists()
    monkeypatch.setattr(unlocked, "renewal_is_due", lambda *_: False)
    agent.login()
    assert common_name(agent.home) == "renewed"


def test_a_renewal_that_fails_disturbs_no_sign_in(
    site: FakeSite, agent: RunningAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlocked, "renewal_is_due", lambda *_: True)
    monkeypatch.setattr(site.__class__, "day_keys", lambda _self: [{"day": 1}])
    with pytest.raises(ClientError):
        agent.login()
    monkeypatch.undo()
    monkeypatch.setattr(unlocked, "renewal_is_due", lambda *_: True)
    monkeypatch.setattr(verbs.Verbs, "_renew_within", _refused)
    assert agent.login()["renewed"] is False


def _refused(*_: object) -> None:
    raise ClientError("refused", "No", "not now")
