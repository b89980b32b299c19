"""What is taken as the next entry of a gateway, and what alarms."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gateway.testing import a_boot_key
from broker.sessions.sequence_rules import (
    Cut,
    Gap,
    Refused,
    Repeated,
    Stream,
    Taken,
    Told,
    judge,
    may_adopt,
)
from recorder.sequence import ORIGIN, BootKey, Entry

KEY, OTHER = a_boot_key("w1", "b1"), a_boot_key("w1", "b2")


def chain(key: BootKey, count: int, previous: bytes = ORIGIN) -> list[Entry]:
    entries: list[Entry] = []
    for seq in range(1, count + 1):
        entries.append(key.entry(seq, previous, f'{{"n":{seq}}}'))
        previous = entries[-1].link
    return entries


FIRST, SECOND, THIRD = chain(KEY, 3)
KNOWN = Stream("b1", KEY.boot.public, 2, SECOND.link, 1)


def test_the_next_entry_is_taken() -> None:
    assert judge(KEY.boot, THIRD, KNOWN, KNOWN, None) == Taken(dataclasses.replace(KNOWN, last_seq=3, link=THIRD.link))


@pytest.mark.parametrize("entry", [FIRST, SECOND])
def test_what_was_taken_is_not_taken_again(entry: Entry) -> None:
    assert judge(KEY.boot, entry, KNOWN, KNOWN, None) == Repeated()


def test_another_entry_with_the_newest_number_is_refused() -> None:
    fork = KEY.entry(2, FIRST.link, '{"n":"other"}')
    assert judge(KEY.boot, fork, KNOWN, KNOWN, None) is Refused.FORKED


def test_the_next_number_that_names_another_one_before_it_is_refused() -> None:
    assert judge(KEY.boot, KEY.entry(3, FIRST.link, "{}"), KNOWN, KNOWN, None) is Refused.NOT_CHAINED


def test_a_number_too_high_is_taken_with_an_alarm() -> None:
    judged = judge(KEY.boot, KEY.entry(9, ORIGIN, "{}"), KNOWN, KNOWN, None)
    assert isinstance(judged, Taken)
    assert (judged.gap, judged.cut) == (Gap(3, 9), None)


def test_a_second_key_for_the_same_start_is_refused() -> None:
    forged = a_boot_key("w1", "b1")
    assert judge(forged.boot, forged.entry(3, SECOND.link, "{}"), KNOWN, KNOWN, None) is Refused.OTHER_KEY


def test_a_start_that_is_over_says_nothing_new() -> None:
    latest = Stream("b2", OTHER.boot.public, 1, bytes(32), 2)
    assert judge(KEY.boot, THIRD, KNOWN, latest, None) is Refused.BOOT_IS_OVER
    assert judge(KEY.boot, SECOND, KNOWN, latest, None) == Repeated()


def test_the_first_start_of_all_names_nothing_before_it() -> None:
    whole = judge(KEY.boot, FIRST, None, None, None)
    assert whole == Taken(Stream("b1", KEY.boot.public, 1, FIRST.link, 1))
    elsewhere = KEY.entry(1, bytes(31) + b"\1", "{}")
    judged = judge(KEY.boot, elsewhere, None, None, None)
    assert isinstance(judged, Taken)
    assert judged.cut == Cut(None)


def test_a_start_goes_on_where_the_one_before_it_was() -> None:
    begun = OTHER.entry(1, SECOND.link, "{}")
    assert judge(OTHER.boot, begun, None, KNOWN, Told("b1", 2)) == Taken(
        Stream("b2", OTHER.boot.public, 1, begun.link, 2)
    )


@pytest.mark.parametrize("previous", [ORIGIN, FIRST.link, THIRD.link], ids=["nothing", "an older one", "one not sent"])
def test_a_start_that_goes_on_elsewhere_is_an_alarm(previous: bytes) -> None:
    judged = judge(OTHER.boot, OTHER.entry(1, previous, "{}"), None, KNOWN, None)
    assert isinstance(judged, Taken)
    assert judged.cut == Cut(Told("b1", 2))


def test_a_start_that_knows_less_than_its_gateway_had_said_is_an_alarm() -> None:
    judged = judge(OTHER.boot, OTHER.entry(1, SECOND.link, "{}"), None, KNOWN, Told("b1", 5))
    assert isinstance(judged, Taken)
    assert judged.cut == Cut(Told("b1", 5))


def test_a_start_whose_beginning_is_missing_is_an_alarm() -> None:
    judged = judge(OTHER.boot, OTHER.entry(4, ORIGIN, "{}"), None, KNOWN, None)
    assert isinstance(judged, Taken)
    assert judged.gap == Gap(1, 4)


def test_only_the_first_signed_start_takes_over_what_was_not_signed() -> None:
    assert may_adopt(KNOWN)
    assert not may_adopt(dataclasses.replace(KNOWN, number=2))
    assert not may_adopt(None)


@given(st.lists(st.integers(0, 9), max_size=30))
def test_whatever_order_entries_arrive_in_none_counts_twice_and_every_missing_one_is_told(order: list[int]) -> None:
    entries = chain(KEY, 10)
    known: Stream | None = None
    taken: list[int] = []
    told_missing = 0
    for index in order:
        judged = judge(KEY.boot, entries[index], known, known, None)
        if isinstance(judged, Taken):
            known = judged.stream
            taken.append(index)
            told_missing += judged.gap.got - judged.gap.expected if judged.gap is not None else 0
        else:
            assert judged == Repeated()
    assert taken == sorted(set(taken))
    assert len(taken) + told_missing == (max(order) + 1 if order else 0)
