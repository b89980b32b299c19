"""Which grant lets a name in, and the reasons when none does."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.kernel.ids import from_raw
from spa_knock.client.errors import ClientError, Exit
from spa_knock.client.fields import FieldError
from spa_knock.client.grants import (
    Asked,
    Grant,
    Wanted,
    choose_grant,
    grant_bytes,
    moment,
    read_asked,
    read_grants,
    read_name,
    shown,
    why_no_grant,
)

NOW = dt.datetime(2026, 11, 20, 9, tzinfo=dt.UTC)
PLC3 = Wanted("plc3")


def grant(
    grant_id: str = "grt_1",
    *,
    begins: int = -10,
    ends: int = 60,
    state: str = "issued",
    target: str = "plc3",
    account: str = "root",
    protocol: str = "ssh",
) -> Grant:
    """Its window in minutes from NOW."""
    minutes = dt.timedelta(minutes=1)
    return Grant(grant_id, target, account, protocol, NOW + begins * minutes, NOW + ends * minutes, state)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("plc3.plant", Wanted("plc3")),
        ("plc3", Wanted("plc3")),
        ("PLC3.Plant", Wanted("PLC3")),
        ("line3.plc3.plant", Wanted("line3.plc3")),
        ("service+plc3.plant", Wanted("plc3", "service")),
    ],
)
def test_names_are_targets_with_an_account_in_front_if_wanted(name: str, wanted: Wanted) -> None:
    assert read_name(name, "plant") == wanted


@pytest.mark.parametrize("name", ["", ".plant", "a b.plant", "$(x).plant", "-x.plant", "+x.plant", "a+b+c", "é.plant"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ClientError) as refused:
        read_name(name, "plant")
    assert refused.value.exit_code is Exit.USAGE


def test_of_several_open_grants_the_longest_is_chosen() -> None:
    short, long = grant("grt_1", ends=10), grant("grt_2", ends=20)
    assert choose_grant([short, long], PLC3, NOW) is long
    assert choose_grant([long, short], Wanted("PLC3", "root"), NOW) is long


@pytest.mark.parametrize(
    "unfit",
    [
        grant(begins=1),
        grant(ends=0),
        grant(state="revoked"),
        grant(state="used"),
        grant(target="hmi1"),
        grant(protocol="rdp"),
    ],
)
def test_unfit_grants_are_not_chosen(unfit: Grant) -> None:
    assert choose_grant([unfit], PLC3, NOW) is None


def test_an_account_must_fit() -> None:
    assert choose_grant([grant(account="root")], Wanted("plc3", "service"), NOW) is None


def test_the_reason_is_the_one_a_person_wants_first() -> None:
    waiting = Asked("req_1", "plc3", "submitted", None)
    denied = Asked("req_2", "plc3", "denied", "wrong week")
    over, revoked, coming = grant(begins=-60, ends=-1, state="expired"), grant(state="revoked"), grant(begins=30)
    cases: list[tuple[list[Grant], list[Asked], str, str]] = [
        ([coming, over], [waiting], "outside_window", "opens at"),
        ([over], [waiting], "not_approved_yet", "waiting"),
        ([over, revoked], [denied], "denied", "revoked"),
        ([over], [denied], "outside_window", "ended"),
        ([], [denied], "denied", "wrong week"),
        ([], [Asked("req_3", "plc3", "denied", None)], "denied", "no reason"),
        ([grant(target="hmi1")], [], "not_approved_yet", "nobody has asked"),
    ]
    for grants, asked, code, words in cases:
        error = why_no_grant(grants, asked, PLC3, NOW)
        assert error.code == code
        assert words in error.one_line()


def test_answers_are_read() -> None:
    item = {
        "id": "grt_1",
        "target": "plc3",
        "account": "root",
        "protocol": "ssh",
        "not_before": "2026-11-20T08:50:00Z",
        "not_after": "2026-11-20T18:00:00+08:00",
        "state": "issued",
    }
    assert read_grants({"items": [item]}) == [grant()]
    asked = {"id": "req_1", "target": "plc3", "state": "denied", "decision_reason": "no", "more": 1}
    assert read_asked({"items": [asked]}) == [Asked("req_1", "plc3", "denied", "no")]
    bodies: list[object] = [{}, {"items": [{}]}, {"items": [item | {"not_after": "2026-11-20T10:00:00"}]}, []]
    for body in bodies:
        with pytest.raises(FieldError):
            read_grants(body)


@given(st.binary(min_size=16, max_size=16))
def test_a_grants_id_and_its_bytes_are_the_brokers(raw: bytes) -> None:
    assert grant_bytes(from_raw("grt", raw)) == raw


@pytest.mark.parametrize(
    "grant_id", ["", "grt_", "req_" + "0" * 26, "grt_" + "0" * 25, "grt_" + "z" * 26, "grt_" + "u" * 26]
)
def test_other_ids_are_refused(grant_id: str) -> None:
    with pytest.raises(FieldError):
        grant_bytes(grant_id)


def test_moments_are_utc_and_shown_with_an_offset() -> None:
    assert moment("2026-11-20T17:00:00+08:00") == NOW
    assert shown(NOW)[-5] in "+-"
