"""The pinned site: it comes back as it was, and refuses what would be written into ssh's files."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from spa_knock.client.fields import FieldError
from spa_knock.client.site import Endpoint, audience_of, is_host, key_line, site_from_object
from spa_knock.wire.keys import audience_of as wire_audience_of
from tests.unit.spa_knock.client.fake_site import FakeSite

LOGIN = {"ssh_domain": "plant", "host_key_alias": "gate.plant"}


def test_a_site_comes_back_as_it_was(site: FakeSite) -> None:
    found = site_from_object(site.site_object()).after_login({**LOGIN, "host_ca": site.host_ca_line() + " a comment"})
    assert site_from_object(found.to_object()) == found
    assert found.host_ca == site.host_ca_line()


def test_the_audience_is_the_wires(site: FakeSite) -> None:
    spki = site.root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert audience_of(site.root_pem) == wire_audience_of(spki) == site.audience


@pytest.mark.parametrize(
    "changes",
    [
        {"host_ca": "ssh-ed25519 AAAA\nplc3 ssh-ed25519 AAAA"},
        {"host_ca": "ssh-ed25519 !"},
        {"host_ca": "ssh-dss AAAA"},
        {"host_key_alias": "*"},
        {"host_key_alias": "gate plc3"},
        {"host_key_alias": "gate\nHost *"},
        {"ssh_domain": "plant\n  ProxyCommand x"},
        {"ssh_domain": "*"},
    ],
)
def test_a_login_cannot_write_more_than_names_and_keys(site: FakeSite, changes: dict[str, str]) -> None:
    known = site_from_object(site.site_object())
    with pytest.raises(FieldError):
        known.after_login({**LOGIN, "host_ca": site.host_ca_line(), **changes})


def test_a_root_is_one_certificate(site: FakeSite) -> None:
    for text in ("", "x", site.root_pem * 2, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(FieldError):
            audience_of(text)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "gate.example", "xn--a.example", "a"])
def test_addresses_and_names_are_hosts(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize("host", ["", "-a", "a..b", "a b", "a%b", "fe80::1%eth0", "a_b", "a" * 64, "é", "a.example."])
def test_other_texts_are_no_hosts(host: str) -> None:
    assert not is_host(host)


@pytest.mark.parametrize("ports", [(), (0,), (65536,), tuple(range(1, 18))])
def test_an_endpoint_has_ports(ports: tuple[int, ...]) -> None:
    with pytest.raises(FieldError):
        Endpoint("gate.example", ports)


def test_a_key_line_loses_its_comment_and_keeps_its_type() -> None:
    line = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert key_line(f" {line} root@host\n") == line
    with pytest.raises(FieldError):
        key_line(line.replace("ssh-ed25519", "ssh-rsa"))
