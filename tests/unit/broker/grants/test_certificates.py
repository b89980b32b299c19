import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
)

from broker.grants.certificates import (
    CertificateRefused,
    CertificateWish,
    SshUserAuthority,
    session_key,
    spki_sha256,
)
from broker.kernel.errors import Invalid

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CA_KEY = Ed25519PrivateKey.generate()
KEY = Ed25519PrivateKey.generate()
WISH = CertificateWish(
    key=KEY.public_key(),
    serial=2**63 - 1,
    grant_id="grt_1",
    device_id="dev_1",
    principals=("sallyport", "vera", "maint"),
    source="203.0.113.7",
    valid_after=NOON,
    valid_before=NOON + timedelta(minutes=15),
)


def line_of(key: object) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("ca", [CA_KEY, generate_private_key(SECP256R1())])
@pytest.mark.parametrize("key", [KEY, generate_private_key(SECP256R1())])
def test_a_certificate_is_read_as_it_was_issued(ca: Ed25519PrivateKey, key: Ed25519PrivateKey) -> None:
    authority = SshUserAuthority(ca)
    read = authority.read(authority.issue(replace(WISH, key=key.public_key())).encode())
    assert (read.serial, read.grant_id, read.device_id) == (WISH.serial, "grt_1", "dev_1")
    assert (read.principals, read.source) == (WISH.principals, WISH.source)
    assert (read.valid_after, read.valid_before) == (WISH.valid_after, WISH.valid_before)
    assert read.key_sha256 == spki_sha256(key.public_key())


def test_asyncssh_reads_the_same_and_nothing_but_a_pty_is_permitted() -> None:
    certificate = asyncssh.import_certificate(SshUserAuthority(CA_KEY).issue(WISH))
    assert list(certificate.principals) == list(WISH.principals)  # type: ignore[attr-defined]
    assert set(certificate.options) == {"source-address", "permit-pty"}  # type: ignore[attr-defined]


def test_openssh_reads_it_too(tmp_path: Path) -> None:
    tool = shutil.which("ssh-keygen")
    if tool is None:
        pytest.skip("ssh-keygen is not installed")
    file = tmp_path / "cert.pub"
    file.write_text(SshUserAuthority(CA_KEY).issue(WISH) + "\n")
    shown = subprocess.run([tool, "-L", "-f", str(file)], check=True, capture_output=True, text=True).stdout
    assert 'Key ID: "grt_1/dev_1"' in shown
    assert f"Serial: {WISH.serial}" in shown
    assert "source-address 203.0.113.7" in shown
    assert "permit-pty" in shown
    assert "permit-port-forwarding" not in shown


def test_the_key_of_an_authority_does_not_show() -> None:
    authority = SshUserAuthority(CA_KEY)
    assert repr(authority) == "SshUserAuthority(***)"
    assert authority.public_line == line_of(CA_KEY)
    wrapped = SshUserAuthority.of_asyncssh(asyncssh.generate_private_key("ecdsa-sha2-nistp256"))
    assert wrapped.read(wrapped.issue(WISH).encode()).serial == WISH.serial
    with pytest.raises(TypeError):
        SshUserAuthority.of_asyncssh(asyncssh.import_public_key(line_of(CA_KEY)))


def _built(
    *,
    options: dict[bytes, bytes] | None = None,
    extensions: tuple[bytes, ...] = (b"permit-pty",),
    kind: SSHCertificateType = SSHCertificateType.USER,
    key_id: bytes = b"grt_1/dev_1",
    principals: list[bytes] | None = None,
) -> bytes:
    builder = (
        SSHCertificateBuilder()
        .public_key(KEY.public_key())
        .serial(1)
        .type(kind)
        .key_id(key_id)
        .valid_after(0)
        .valid_before(2**40)
    )
    builder = builder.valid_principals(principals) if principals else builder.valid_for_all_principals()  # type: ignore[no-untyped-call]
    for name, value in (options if options is not None else {b"source-address": b"203.0.113.7"}).items():
        builder = builder.add_critical_option(name, value)
    for name in extensions:
        builder = builder.add_extension(name, b"")
    return builder.sign(CA_KEY).public_bytes()


@pytest.mark.parametrize(
    "line",
    [
        _built(),
        _built(principals=[b"vera"], options={}),
        _built(principals=[b"vera"], options={b"source-address": b"203.0.113.0/24"}),
        _built(principals=[b"vera"], options={b"source-address": b"203.0.113.7", b"force-command": b"x"}),
        _built(principals=[b"vera"], extensions=()),
        _built(principals=[b"vera"], extensions=(b"permit-port-forwarding", b"permit-pty")),
        _built(principals=[b"vera"], kind=SSHCertificateType.HOST),
        _built(principals=[b"vera"], key_id=b"grt_1"),
        _built(principals=[b"vera"], key_id=b"\xff/\xff"),
        _built(principals=[b"\xff"]),
        line_of(KEY).encode(),
        b"junk",
        b"ssh-ed25519-cert-v01@openssh.com AAAA",
        b"x" * 10_000,
    ],
    ids=lambda line: f"{len(line)}-bytes",
)
def test_what_this_authority_never_writes_is_refused_although_it_signed_it(line: bytes) -> None:
    with pytest.raises(CertificateRefused):
        SshUserAuthority(CA_KEY).read(line)


def test_another_authoritys_certificate_is_refused() -> None:
    line = SshUserAuthority(Ed25519PrivateKey.generate()).issue(WISH)
    with pytest.raises(CertificateRefused):
        SshUserAuthority(CA_KEY).read(line.encode())


def test_session_keys_are_ed25519_or_p256() -> None:
    assert spki_sha256(session_key(line_of(KEY) + " comment\n")) == spki_sha256(KEY.public_key())
    assert session_key(line_of(generate_private_key(SECP256R1())))
    certificate = SshUserAuthority(CA_KEY).issue(WISH)
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_public_key().decode()
    for bad in (
        "",
        "junk",
        "ssh-ed25519 AAAA",
        line_of(generate_private_key(SECP384R1())),
        certificate,
        rsa,
        "x" * 2000,
    ):
        with pytest.raises(Invalid):
            session_key(bad)
