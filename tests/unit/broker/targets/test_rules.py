import base64
import ipaddress

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.kernel.errors import Invalid
from broker.targets import rules
from broker.targets.testing import a_host_key


@pytest.mark.parametrize("text", ["press-4", "a", "7", "x" * 63])
def test_a_dns_label_names_a_target(text: str) -> None:
    assert rules.checked_label(text) == text


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a.b", "a_b", "x" * 64, "prensa-ñ", "a\n"])
def test_anything_else_names_none(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        rules.checked_label(text)
    assert refusal.value.params == {"field": "name"}


@given(st.ip_addresses())
def test_an_address_is_kept_in_its_shortest_form_or_refused(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    try:
        kept = rules.checked_address(address.exploded)
    except Invalid:
        return
    assert kept == str(address)
    assert not address.is_loopback
    assert not address.is_multicast


@pytest.mark.parametrize(
    "text",
    [
        "press-4.example",
        "",
        "10.0.0.1/24",
        "127.0.0.1",
        "::1",
        "0.0.0.0",  # noqa: S104 - refused
        "224.0.0.1",
        "::ffff:10.0.0.1",
        "fe80::1%eth0",
        "169.254.169.254",
        "10.0.0.1 ",
        "0x0a000001",
    ],
)
def test_what_is_not_the_address_of_one_other_machine_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        rules.checked_address(text)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(Invalid):
        rules.checked_port(port)


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521", "ssh-rsa"])
def test_a_real_host_key_is_kept_without_its_comment(kind: str) -> None:
    key = asyncssh.generate_private_key(kind, comment="root@press-4")
    line = key.export_public_key("openssh").decode()
    kept = rules.checked_host_key(f"  {line}  ")
    assert kept == " ".join(line.split()[:2])
    assert rules.fingerprint(kept) == key.get_fingerprint()
    asyncssh.import_public_key(kept)


def test_what_is_no_host_key_is_refused() -> None:
    good = a_host_key()
    blob = good.split()[1]
    short_rsa = asyncssh.generate_private_key("ssh-rsa", key_size=1024).export_public_key("openssh").decode()
    for line in (
        "",
        "ssh-ed25519",
        f"ssh-rsa {blob}",
        f"ssh-dss {blob}",
        f"ssh-ed25519 {blob[:-8]}",
        f"ssh-ed25519 {blob}!",
        f"ssh-ed25519 {base64.b64encode(base64.b64decode(blob) + b'x').decode()}",
        f"press-4 {good}",
        f"{good}\n{good}",
        "ssh-ed25519-cert-v01@openssh.com AAAA",
        short_rsa,
    ):
        with pytest.raises(Invalid) as refusal:
            rules.checked_host_key(line)
        assert refusal.value.params == {"field": "host_key"}


@given(st.binary(max_size=200))
def test_no_bytes_make_the_host_key_check_fail_otherwise_than_by_refusing(blob: bytes) -> None:
    with pytest.raises(Invalid):
        rules.checked_host_key(f"ecdsa-sha2-nistp256 {base64.b64encode(blob).decode()}")


@pytest.mark.parametrize("text", ["", "-oProxyCommand=x", "a b", "x" * 65, "root;id"])
def test_what_is_no_account_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        rules.checked_account(text)


@pytest.mark.parametrize("text", ["maint", "PLANT\\svc", "svc@plant.local", "_x"])
def test_usual_accounts_are_taken(text: str) -> None:
    assert rules.checked_account(text) == text


def test_free_texts_are_trimmed_and_hold_no_control_characters() -> None:
    assert rules.checked_zone_name("  冲压车间 ") == "冲压车间"
    assert rules.checked_description("") == ""
    for text in ("", "a\x07b", "x" * 81):
        with pytest.raises(Invalid):
            rules.checked_zone_name(text)
    with pytest.raises(Invalid):
        rules.checked_description("x" * 501)
