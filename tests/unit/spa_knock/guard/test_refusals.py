"""What is remembered of refused devices."""

from ipaddress import ip_address

from spa_knock.guard.refusals import MAX_NOTED, MAX_TOLD, RefusalBook
from spa_knock.guard.rules import Reason, Refused, judge
from spa_knock.link.framing import encode
from tests.unit.spa_knock.guard.test_rules import a_stand
from tests.unit.spa_knock.guard.testing import NOW_MS, Workstation

SOURCE, NAMED = ip_address("198.51.100.7"), ip_address("10.0.0.5")
DEVICE = Workstation(1)


def refused(**knock: object) -> Refused:
    judgement = judge(DEVICE.knock(**knock), SOURCE, a_stand())  # type: ignore[arg-type]
    assert isinstance(judgement, Refused)
    return judgement


def test_a_wrong_clock_and_an_address_behind_translation_are_told_with_their_numbers() -> None:
    book = RefusalBook()
    book.note(refused(stamp_ms=NOW_MS - 90_000), SOURCE, NOW_MS)
    book.note(refused(stamp_ms=NOW_MS - 95_000), SOURCE, NOW_MS)
    (told,) = book.told()
    assert (told["reason"], told["count"], told["clock_off_ms"]) == ("clock", 2, -95_000)
    book.note(refused(address=NAMED), SOURCE, NOW_MS + 1)
    (told,) = book.told()
    assert (told["reason"], told["count"], told["named"], told["source"]) == ("address", 1, "10.0.0.5", "198.51.100.7")


def test_junk_leaves_no_trace_and_an_accepted_knock_ends_the_matter() -> None:
    book = RefusalBook()
    book.note(Refused(Reason.GATE), SOURCE, NOW_MS)
    assert book.told() == []
    book.note(refused(stamp_ms=NOW_MS - 90_000), SOURCE, NOW_MS)
    book.forget(DEVICE.device_id)
    assert book.told() == []


def test_the_book_is_bounded_and_what_is_told_fits_one_message() -> None:
    book = RefusalBook()
    for number in range(MAX_NOTED + 10):
        book.note(Refused(Reason.CLOCK, f"dev_{number:026d}"), ip_address("2001:db8:ffff:ffff::ffff"), NOW_MS)
    told = book.told()
    assert len(told) == MAX_TOLD
    assert told[-1]["device_id"] == f"dev_{MAX_NOTED + 9:026d}"
    assert len(encode({"type": "status", "refusals": told})) < 32_768
