"""Invites: a whole one is read; anything damaged, foreign or inconsistent is refused with words, not a crash."""

import base64
import copy
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.client.invite import MOST_JSON, MOST_TEXT, PREFIX, InviteError, parse_invite
from tests.unit.spa_knock.client.fake_site import FakeSite, invite_text, pem


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with FakeSite(tmp_path_factory.mktemp("site")) as site:
        return site.invite_object()


def test_an_invite_is_read_whole(document: dict[str, Any]) -> None:
    invite = parse_invite(invite_text(document))
    assert invite.site.name == "Test Plant"
    assert invite.site.audience.hex() == document["site"]["audience_hex"]
    assert invite.device_id == document["knock"]["device_id"]
    assert len(invite.day_keys) == 32
    assert invite.code == "code-1"
    shown = repr(invite)
    for secret in (invite.code, invite.private_key_pem, str(invite.knock_key)):
        assert secret not in shown


def test_white_space_and_padding_do_not_matter(document: dict[str, Any]) -> None:
    text = invite_text(document)
    pasted = "\n  ".join([text[:30], text[30:500], text[500:]]) + "==\r\n"
    assert parse_invite(pasted).device_id == parse_invite(text).device_id


def test_plain_and_raw_deflated_json_are_read_as_well(document: dict[str, Any]) -> None:
    assert parse_invite(invite_text(document, compressed=False)).code == "code-1"
    deflater = zlib.compressobj(wbits=-15)
    raw = deflater.compress(json.dumps(document).encode()) + deflater.flush()
    assert parse_invite(PREFIX + base64.urlsafe_b64encode(raw).decode()).code == "code-1"


def change(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def apply(document: dict[str, Any]) -> None:
        *parents, name = path.split(".")
        for parent in parents:
            document = document[parent]
        if value is ...:
            del document[name]
        else:
            document[name] = value

    return apply


OTHER_KEY = Ed25519PrivateKey.generate()
EC_PEM = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    "damage",
    [
        change("v", 2),
        change("v", ...),
        change("site", []),
        change("site.name", ""),
        change("site.name", "a\nb"),
        change("site.audience_hex", "00" * 8),
        change("site.audience_hex", "0" * 15),
        change("site.root_pem", "nothing"),
        change("site.vendor_face.host", "-x"),
        change("site.vendor_face.host", "fe80::1%eth0"),
        change("site.vendor_face.name", "a b"),
        change("site.vendor_face.port", 0),
        change("site.ssh.port", True),
        change("site.knock.ports", []),
        change("site.knock.ports", ["62201"]),
        change("site.ssh_domain", 'plant" exec "x'),
        change("site.ssh_domain", "Plant"),
        change("knock.knock_key_b64", "AAAA"),
        change("knock.knock_key_b64", "!"),
        change("knock.day_keys", []),
        change("knock.day_keys", [{"day": -1, "key_b64": "A" * 43 + "="}]),
        change("certificate_pem", "nothing"),
        change("private_key_pem", "nothing"),
        change("private_key_pem", pem(OTHER_KEY)),
        change("private_key_pem", EC_PEM),
        change("code", 7),
        change("expires_at_ms", "soon"),
    ],
)
def test_a_damaged_invite_is_refused_without_telling_its_secrets(
    document: dict[str, Any], damage: Callable[[dict[str, Any]], None]
) -> None:
    damaged = copy.deepcopy(document)
    damage(damaged)
    with pytest.raises(InviteError) as refused:
        parse_invite(invite_text(damaged))
    assert "PRIVATE" not in str(refused.value)


def test_a_cut_off_invite_is_refused(document: dict[str, Any]) -> None:
    text = invite_text(document)
    for length in range(len(PREFIX), len(text), 97):
        with pytest.raises(InviteError):
            parse_invite(text[:length])


def test_an_invite_that_inflates_without_end_is_refused() -> None:
    bomb = zlib.compress(b"[" * (MOST_JSON * 50))
    with pytest.raises(InviteError):
        parse_invite(PREFIX + base64.urlsafe_b64encode(bomb).decode())
    with pytest.raises(InviteError, match="longer"):
        parse_invite(PREFIX + "A" * MOST_TEXT)


@given(st.text(max_size=300))
def test_any_text_is_an_invite_or_refused(text: str) -> None:
    with pytest.raises(InviteError):
        parse_invite(text)


@given(st.binary(max_size=300), st.booleans())
def test_any_content_is_refused_in_words(data: bytes, compressed: bool) -> None:
    packed = zlib.compress(data) if compressed else data
    with pytest.raises(InviteError):
        parse_invite(PREFIX + base64.urlsafe_b64encode(packed).decode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_any_value_in_any_place_is_read_or_refused(document: dict[str, Any], data: st.DataObject) -> None:
    damaged = copy.deepcopy(document)
    place = damaged
    while True:
        name = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[name], dict) or data.draw(st.booleans()):
            break
        place = place[name]
    place[name] = data.draw(json_values)
    try:
        parse_invite(invite_text(damaged))
    except InviteError:
        return
    # What was changed must have been something that may be anything.
    assert name in {"name", "device_id", "code", "expires_at_ms", "host", "port", "ssh_domain", "v", "ports"}
