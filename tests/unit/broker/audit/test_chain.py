from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broker.audit import chain
from broker.audit.model import AuditRecord

_AT = datetime(2026, 11, 20, 9, tzinfo=UTC)


def _trail(length: int) -> list[AuditRecord]:
    records, previous = [], chain.GENESIS
    for seq in range(1, length + 1):
        params = {"number": seq, "text": "重启"}
        body = chain.canonical(seq, _AT, "test.thing.done", "psn_1", "tgt_1", params)
        linked = chain.link(previous, body)
        records.append(AuditRecord(seq, _AT, "test.thing.done", "psn_1", "tgt_1", params, previous, linked))
        previous = linked
    return records


def test_an_untouched_trail_holds() -> None:
    records = _trail(5)
    assert chain.verify(records) == chain.Verified(5, records[-1].hash)


def test_an_empty_trail_holds() -> None:
    assert chain.verify([]) == chain.Verified(0, chain.GENESIS)


@given(st.integers(0, 8), st.sampled_from(["at", "code", "actor", "subject", "params", "hash", "previous_hash"]))
def test_every_changed_field_is_found_at_its_record(index: int, field: str) -> None:
    records = _trail(9)
    changes = {
        "at": _AT + timedelta(microseconds=1),
        "code": "test.thing.undone",
        "actor": "psn_2",
        "subject": "tgt_2",
        "params": {"number": 0},
        "hash": bytes(32),
        "previous_hash": b"\x01" * 32,
    }
    records[index] = replace(records[index], **{field: changes[field]})
    found = chain.verify(records)
    assert isinstance(found, chain.Break)
    assert found.seq == index + 1


@given(st.integers(0, 7))
def test_a_dropped_record_is_found(index: int) -> None:
    records = _trail(9)
    del records[index]
    assert chain.verify(records) == chain.Break(index + 1, "missing")


@given(st.integers(0, 7))
def test_swapped_records_are_found(index: int) -> None:
    records = _trail(9)
    records[index], records[index + 1] = records[index + 1], records[index]
    assert isinstance(chain.verify(records), chain.Break)


def test_a_rewritten_record_breaks_the_next_link() -> None:
    records = _trail(3)
    params = {"number": 99}
    forged = chain.link(records[0].hash, chain.canonical(2, _AT, "test.thing.done", "psn_1", "tgt_1", params))
    records[1] = replace(records[1], params=params, hash=forged)
    assert chain.verify(records) == chain.Break(3, "relinked")


@given(st.integers(1, 8), st.integers(1, 8))
def test_a_part_of_the_trail_holds_behind_the_record_before_it_and_behind_no_other(after: int, other: int) -> None:
    records = _trail(9)
    part = records[after:]
    found = chain.verify(part, after=after, previous=records[after - 1].hash)
    assert found == chain.Verified(9, records[-1].hash)
    if other != after:
        wrong = chain.verify(part, after=after, previous=records[other - 1].hash)
        assert wrong == chain.Break(after + 1, "relinked")
