"""What each peer may ask, and every ceiling."""

import contextlib
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.opener.config import Peer
from spa_knock.opener.errors import Refusal
from spa_knock.opener.verbs import (
    PEER_OF_TYPE,
    AllowEgress,
    Check,
    Close,
    EndEgress,
    MarkFlow,
    Open,
    Reset,
    ResetEgress,
    Restate,
    Revoke,
    Shed,
    Shut,
    Status,
    Unrevoke,
    Verb,
    parse,
)
from tests.unit.spa_knock.opener.testing import a_config

CONFIG = a_config()
KNOCK = "0123456789abcdef01234567"
ADDRESS = ip_address("198.51.100.7")
GOOD: dict[str, tuple[dict[str, object], Verb]] = {
    "open": (
        {"door": 1, "address": "198.51.100.7", "seconds": 8, "knock_id": KNOCK},
        Open(1, ADDRESS, 8, KNOCK),
    ),
    "shut": ({"door": 2, "address": "198.51.100.7"}, Shut(2, ADDRESS, None)),
    "mark": ({"door": 2, "address": "2001:db8::7", "port": 9, "mark": 3}, MarkFlow(2, ip_address("2001:db8::7"), 9, 3)),
    "shed": ({"knock_id": KNOCK}, Shed(KNOCK)),
    "check": ({}, Check()),
    "status": ({}, Status()),
    "restate": ({"marks": [1, (1 << 31) - 1]}, Restate((1, (1 << 31) - 1))),
    "close": ({"door": 1, "address": "::ffff:198.51.100.7"}, Close(1, ADDRESS)),
    "revoke": ({"mark": (1 << 31) - 1}, Revoke((1 << 31) - 1)),
    "unrevoke": ({"mark": 1}, Unrevoke(1)),
    "egress": ({"address": "10.0.0.9", "port": 22, "seconds": 86_400}, AllowEgress(ip_address("10.0.0.9"), 22, 86_400)),
    "egress_close": ({"address": "10.0.0.9", "port": 22}, EndEgress(ip_address("10.0.0.9"), 22)),
    "reset": ({"door": 2, "address": "198.51.100.7", "port": 5000}, Reset(2, ADDRESS, 5000)),
    "egress_reset": ({"address": "10.0.0.9", "port": 22}, ResetEgress(ip_address("10.0.0.9"), 22)),
}


def code(peer: Peer, message: dict[str, object]) -> str:
    with pytest.raises(Refusal) as caught:
        parse(peer, message, CONFIG)
    return caught.value.code


@pytest.mark.parametrize("kind", list(GOOD))
def test_a_verb_is_its_owners_alone(kind: str) -> None:
    fields, verb = GOOD[kind]
    message = {"v": 1, "type": kind, "id": 5, **fields}
    for peer in Peer:
        if peer is PEER_OF_TYPE[kind]:
            assert parse(peer, message, CONFIG) == verb
        else:
            assert code(peer, message) == "not_yours"


def test_the_table_of_owners_is_whole() -> None:
    assert GOOD.keys() == PEER_OF_TYPE.keys()


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ("1", "malformed"),
        ([1] * 4097, "malformed"),
        ([0], "mark_refused"),
        ([1 << 31], "mark_refused"),
        ([True], "mark_refused"),
        (["1"], "mark_refused"),
    ],
)
def test_marks_are_bounded(marks: object, expected: str) -> None:
    assert code(Peer.CONTROL, {"type": "restate", "marks": marks}) == expected


def test_shut_may_name_its_knock() -> None:
    message = {"type": "shut", "door": 1, "address": "198.51.100.7", "knock_id": KNOCK}
    assert parse(Peer.GATEWAY, message, CONFIG) == Shut(1, ADDRESS, KNOCK)
    assert parse(Peer.GATEWAY, {**message, "knock_id": None}, CONFIG) == Shut(1, ADDRESS, None)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"type": "flush"}, "unknown_verb"),
        ({"type": 7}, "unknown_verb"),
        ({"door": 3}, "door_unknown"),
        ({"door": "1"}, "malformed"),
        ({"door": True}, "malformed"),
        ({"seconds": 0}, "seconds_refused"),
        ({"seconds": 31}, "seconds_refused"),
        ({"seconds": 8.0}, "malformed"),
        ({"address": "198.51.100.0/24"}, "malformed"),
        ({"address": "localhost"}, "malformed"),
        ({"address": 1}, "malformed"),
        ({"address": "0.0.0.0"}, "address_refused"),  # noqa: S104
        ({"address": "::"}, "address_refused"),
        ({"address": "127.0.0.1"}, "address_refused"),
        ({"address": "::1"}, "address_refused"),
        ({"address": "::ffff:127.0.0.1"}, "address_refused"),
        ({"address": "224.0.0.1"}, "address_refused"),
        ({"address": "ff02::1"}, "address_refused"),
        ({"address": "255.255.255.255"}, "address_refused"),
        ({"address": "fe80::1%out0"}, "address_refused"),
        ({"knock_id": KNOCK.upper()}, "malformed"),
        ({"knock_id": KNOCK + "\n"}, "malformed"),
        ({"knock_id": 5}, "malformed"),
        ({"port": 5}, "malformed"),
    ],
    ids=str,
)
def test_an_opening_outside_its_ceiling_is_refused(change: dict[str, object], expected: str) -> None:
    assert code(Peer.GUARD, {"type": "open", **GOOD["open"][0], **change}) == expected


@pytest.mark.parametrize("mark", [0, -1, 1 << 31, "1", True])
def test_a_mark_outside_its_range_is_refused(mark: object) -> None:
    assert code(Peer.CONTROL, {"type": "revoke", "mark": mark}) in {"mark_refused", "malformed"}


def test_egress_has_its_own_ceiling() -> None:
    message = {"type": "egress", "address": "10.0.0.9", "port": 22, "seconds": 86_401}
    assert code(Peer.CONTROL, message) == "seconds_refused"
    assert code(Peer.CONTROL, {**message, "seconds": 60, "port": 0}) == "malformed"
    assert code(Peer.CONTROL, {**message, "seconds": 60, "address": "127.0.0.1"}) == "address_refused"


@pytest.mark.parametrize("kind", list(GOOD))
def test_no_field_may_be_absent(kind: str) -> None:
    for name in GOOD[kind][0]:
        fields = {key: value for key, value in GOOD[kind][0].items() if key != name}
        assert code(PEER_OF_TYPE[kind], {"type": kind, **fields}) == "malformed"


values = st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.lists(st.integers(), max_size=2)
names = st.sampled_from(["door", "address", "seconds", "knock_id", "port", "mark", "extra"])


@given(st.sampled_from(list(Peer)), st.sampled_from([*GOOD, "x"]), st.dictionaries(names, values))
def test_any_message_is_a_verb_or_a_refusal(peer: Peer, kind: str, fields: dict[str, object]) -> None:
    with contextlib.suppress(Refusal):
        parse(peer, {"type": kind, **fields}, CONFIG)
