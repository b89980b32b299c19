"""New certificates for the three servers, checked as clients check them."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from broker.app import certificate_renewal, doctor, keys
from broker.app.errors import CommandError
from broker.app.layout import Layout
from broker.app.settings import Settings

NOW = datetime.now(UTC)
LATER = NOW + timedelta(minutes=30)
FIRST_END = NOW + timedelta(days=397)


@pytest.fixture
def layout(settings: Settings) -> Layout:
    keys.initialise(settings, NOW, give_away=False)
    return Layout.of(settings)


def test_all_three_servers_get_new_keys_and_a_later_end(settings: Settings, layout: Layout) -> None:
    files = [layout.gateway / "front", layout.control / "plant-face"]
    before = [path.with_suffix(".key").read_bytes() for path in files] + [
        (layout.gateway / "ssh_host_key").read_bytes()
    ]
    renewed = certificate_renewal.renew(settings, layout.offline / "site-root.key", LATER, give_away=False)
    assert [one.name for one in renewed] == ["vendor face", "console", "SSH door"]
    assert all(one.not_after > FIRST_END for one in renewed)
    after = [path.with_suffix(".key").read_bytes() for path in files] + [(layout.gateway / "ssh_host_key").read_bytes()]
    assert not set(before) & set(after)
    root = x509.load_pem_x509_certificate(layout.site_root.read_bytes())
    for path in files:
        certificate = x509.load_pem_x509_certificate(path.with_suffix(".pem").read_bytes())
        certificate.verify_directly_issued_by(root)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path.with_suffix(".pem"), path.with_suffix(".key"))
        assert path.with_suffix(".key").stat().st_mode & 0o077 == 0
    door = asyncssh.read_certificate(layout.gateway / "ssh_host_key-cert.pub")
    authority = asyncssh.import_public_key(layout.host_authority.read_text())
    door.validate(asyncssh.public_key.CERT_TYPE_HOST, keys.host_key_alias("demo"))
    assert door.signing_key == authority
    assert door.key == asyncssh.read_private_key(layout.gateway / "ssh_host_key").convert_to_public()
    lasting = dict(doctor.expiries(layout))
    assert all(lasting[name] > FIRST_END for name in ("vendor face", "console", "SSH door"))
    assert not list(layout.state.glob(".renewing-*"))


@pytest.mark.parametrize("fault", ["absent", "not a key", "another key"])
def test_nothing_is_replaced_without_the_roots_own_key(
    settings: Settings, layout: Layout, tmp_path: Path, fault: str
) -> None:
    path = tmp_path / "key.pem"
    if fault == "not a key":
        path.write_text("hello")
    if fault == "another key":
        pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(*pem))
    before = (layout.gateway / "front.pem").read_bytes()
    with pytest.raises(CommandError):
        certificate_renewal.renew(settings, path, LATER, give_away=False)
    assert (layout.gateway / "front.pem").read_bytes() == before


def test_a_root_that_has_run_out_signs_nothing(settings: Settings, layout: Layout) -> None:
    with pytest.raises(CommandError, match="ran out"):
        certificate_renewal.renew(
            settings, layout.offline / "site-root.key", NOW + timedelta(days=3651), give_away=False
        )
