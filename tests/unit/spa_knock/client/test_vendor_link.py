"""The way to the vendor face: what is pinned, what is retried, and what each failure is called."""

import dataclasses
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from spa_knock.client import knocking
from spa_knock.client.errors import ClientError, Exit
from spa_knock.client.home import Home, KnockState
from spa_knock.client.invite import Invite, parse_invite
from spa_knock.client.keys import bind_of
from spa_knock.client.knocking import Knocker
from spa_knock.client.site import Site
from spa_knock.client.vendor_link import Answer, VendorLink, refusal, tls_context_of_memory
from tests.unit.spa_knock.client.fake_site import FakeSite, unanswered_port

Open = Callable[..., VendorLink]


@pytest.fixture
def invite(site: FakeSite) -> Invite:
    return parse_invite(site.invite())


@pytest.fixture
def link(invite: Invite, home: Home) -> VendorLink:
    return link_to(invite.site, invite, home)


def link_to(site: Site, invite: Invite, home: Home, *, bind: bytes | None = None) -> VendorLink:
    home.prepare()
    knocker = Knocker.of_invite(site, invite.private_key.sign, KnockState(invite.knock_key, invite.day_keys))
    context = tls_context_of_memory(site, invite.certificate_pem, invite.private_key_pem, home.path)
    return VendorLink(site, knocker, bind or bind_of(invite.private_key.public_key()), context)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two short rounds."""
    monkeypatch.setattr(knocking, "ROUND_SECONDS", (0.2, 0.2))


def test_tls_is_1_3_with_the_pinned_root_only(invite: Invite, home: Home) -> None:
    home.prepare()
    context = tls_context_of_memory(invite.site, invite.certificate_pem, invite.private_key_pem, home.path)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1
    assert list(home.path.iterdir()) == []


def test_calls_share_a_connection_until_it_is_closed(site: FakeSite, link: VendorLink) -> None:
    for _ in range(2):
        assert link.call("GET", "/targets").status == 401
    assert site.connections == 1
    link.close()
    assert link.call("GET", "/targets").status == 401
    assert site.connections == 2
    link.close()


def test_reach_always_knocks_anew(site: FakeSite, link: VendorLink) -> None:
    assert link.reach() < 5
    assert link.reach() < 5
    assert site.connections == 2
    assert link.local_address == "127.0.0.1"
    link.close()


def test_another_root_is_not_the_site(site: FakeSite, invite: Invite, home: Home, tmp_path: Path) -> None:
    other = FakeSite(tmp_path)
    forged = dataclasses.replace(invite.site, root_pem=other.root_pem, audience=other.audience)
    link = link_to(forged, invite, home)
    site.audience = other.audience
    with pytest.raises(ClientError) as refused:
        link.reach()
    assert refused.value.code == "site_not_proved"
    assert refused.value.exit_code is Exit.UNREACHABLE
    assert site.connections == 1


def test_another_name_is_not_the_site(invite: Invite, home: Home) -> None:
    link = link_to(dataclasses.replace(invite.site, vendor_name="vendor.other.sallyport"), invite, home)
    with pytest.raises(ClientError, match="could not prove"):
        link.reach()


@pytest.mark.usefixtures("hurried")
def test_silence_is_told_with_its_likely_causes(site: FakeSite, invite: Invite, home: Home) -> None:
    with unanswered_port() as port:
        face = dataclasses.replace(invite.site.vendor_face, ports=(port,))
        link = link_to(dataclasses.replace(invite.site, vendor_face=face), invite, home)
        with pytest.raises(ClientError, match="No answer from Test Plant"):
            link.call("GET", "/targets")
    assert len(site.heard) == 2


@pytest.mark.usefixtures("hurried")
def test_a_door_that_hangs_up_is_told_apart_from_silence(site: FakeSite, link: VendorLink) -> None:
    site.deaf = 100
    with pytest.raises(ClientError, match="opened its door and then broke off"):
        link.call("GET", "/targets")


def test_a_front_that_drops_our_certificate_is_a_broken_answer(invite: Invite, home: Home) -> None:
    link = link_to(invite.site, invite, home, bind=b"x" * 32)
    with pytest.raises(ClientError) as refused:
        link.call("GET", "/targets")
    assert refused.value.exit_code is Exit.UNREACHABLE


@pytest.fixture
def stranger(invite: Invite, home: Home, tmp_path: Path) -> VendorLink:
    """A link that shows a certificate of another site."""
    with FakeSite(tmp_path) as other:
        theirs = parse_invite(other.invite())
    mixed = dataclasses.replace(invite, certificate_pem=theirs.certificate_pem, private_key_pem=theirs.private_key_pem)
    return link_to(invite.site, mixed, home)


def test_a_refused_certificate_is_called_that(stranger: VendorLink) -> None:
    with pytest.raises(ClientError) as refused:
        stranger.call("GET", "/targets")
    assert refused.value.code == "device_not_trusted"
    assert refused.value.exit_code is Exit.POSTURE


@pytest.mark.parametrize("error", [ConnectionResetError, BrokenPipeError, ssl.SSLEOFError])
def test_a_refusal_that_a_reset_overtook_is_heard_on_a_second_connection(
    stranger: VendorLink, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    def reset(*_: object) -> Answer:
        raise error

    monkeypatch.setattr(stranger, "_exchange", reset)
    with pytest.raises(ClientError) as refused:
        stranger.call("GET", "/targets")
    assert refused.value.code == "device_not_trusted"


def test_a_post_is_never_sent_twice(site: FakeSite, link: VendorLink, monkeypatch: pytest.MonkeyPatch) -> None:
    link.call("GET", "/targets")

    def broken(*_: object) -> Answer:
        raise ConnectionResetError

    monkeypatch.setattr(link, "_exchange", broken)
    connections = site.connections
    with pytest.raises(ClientError, match="did not answer"):
        link.call("POST", "/access-requests", {})
    assert site.connections == connections
    link.close()


def test_problems_become_errors_with_exit_codes() -> None:
    def of(status: int, **body: object) -> ClientError:
        return refusal(Answer(status, body, 0, 0))

    known = of(403, code="outside_window", detail="Opens at nine.")
    assert (known.exit_code, known.why, known.do) == (Exit.OUTSIDE_WINDOW, "Opens at nine", "Run: sally requests")
    assert of(403, code="grants.odd", detail="No").exit_code is Exit.DENIED
    assert of(503, code="odd").exit_code is Exit.UNREACHABLE
    assert of(500).why == "it answered with HTTP status 500"
    assert of(401).code == "not_signed_in"
    invalid = of(422, code="invalid", detail="Form.", errors=[{"pointer": "/body/reason", "message": "too short"}, 7])
    assert invalid.why.endswith("(/body/reason: too short)")
