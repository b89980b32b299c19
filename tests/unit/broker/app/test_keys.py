from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from broker.adapters.sealing import SealBroken
from broker.app import keys
from broker.app.layout import Layout
from broker.app.settings import Settings, parse

_NOW = datetime.now(UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    site = {"name": "demo", "state_dir": str(tmp_path / "state"), "run_dir": str(tmp_path / "run")}
    return parse(
        {
            "site": site,
            "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
            "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
        }
    )


def test_a_new_site_gets_keys_that_control_can_unseal(settings: Settings) -> None:
    keys.initialise(settings, _NOW, give_away=False)
    opened = keys.open_control_keys(Layout.of(settings))
    assert len(opened.site_key) == 32
    authority = x509.load_pem_x509_certificate(opened.device_authority_pem)
    assert authority.public_key() == opened.device_authority_key.public_key()


def test_keys_are_never_made_twice(settings: Settings) -> None:
    keys.initialise(settings, _NOW, give_away=False)
    with pytest.raises(keys.AlreadyInitialised):
        keys.initialise(settings, _NOW, give_away=False)


def test_no_private_key_of_an_authority_lies_in_the_open(settings: Settings) -> None:
    keys.initialise(settings, _NOW, give_away=False)
    layout = Layout.of(settings)
    for path in [*layout.control.iterdir(), *layout.gateway.iterdir(), layout.offline / "site-root.key"]:
        assert path.stat().st_mode & 0o077 == 0, path
    sealed = b"".join(path.read_bytes() for path in layout.control.glob("*.sealed"))
    assert b"PRIVATE KEY" not in sealed


def test_a_sealed_authority_does_not_open_as_another(settings: Settings) -> None:
    keys.initialise(settings, _NOW, give_away=False)
    layout = Layout.of(settings)
    (layout.control / "device-ca.sealed").write_bytes((layout.control / "ssh-user-ca.sealed").read_bytes())
    with pytest.raises(SealBroken):
        keys.open_control_keys(layout)


def test_the_front_certificate_chains_to_the_pinned_root(settings: Settings) -> None:
    keys.initialise(settings, _NOW, give_away=False)
    layout = Layout.of(settings)
    root = x509.load_pem_x509_certificate(layout.site_root.read_bytes())
    front = x509.load_pem_x509_certificate((layout.gateway / "front.pem").read_bytes())
    front.verify_directly_issued_by(root)
    names = front.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [keys.vendor_face_name("demo")]


def test_the_host_certificate_is_signed_by_the_published_host_authority(settings: Settings) -> None:
    keys.initialise(settings, _NOW, give_away=False)
    layout = Layout.of(settings)
    certificate = asyncssh.read_certificate(str(layout.gateway / "ssh_host_key-cert.pub"))
    assert certificate.principals == [keys.host_key_alias("demo")]
    assert certificate.signing_key == asyncssh.read_public_key(str(layout.host_authority))


def test_the_audience_is_the_same_for_every_copy_of_the_root(settings: Settings) -> None:
    keys.initialise(settings, _NOW, give_away=False)
    root_pem = Layout.of(settings).site_root.read_bytes()
    assert keys.audience_of(root_pem) == keys.audience_of(root_pem.strip() + b"\n\n")
    assert len(keys.audience_of(root_pem)) == 8


def test_the_checkpoint_key_is_sealed_and_its_public_half_published(settings: Settings) -> None:
    keys.initialise(settings, _NOW, give_away=False)
    layout = Layout.of(settings)
    published = serialization.load_pem_public_key(layout.checkpoint_public.read_bytes())
    opened = keys.open_control_keys(layout)
    assert published == opened.checkpoint_key.public_key()
    raw = opened.checkpoint_key.private_bytes_raw()
    assert not any(raw in path.read_bytes() for path in layout.control.iterdir())
