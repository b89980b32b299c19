"""When an address stands for several parties."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from broker.identities.testing import NOON
from broker.knock_link import sources
from broker.knock_link.sources import MOST_ADDRESSES, SourceWatch

EDGE = "10.1.1.1"
MINUTE = timedelta(minutes=1)


def test_one_persons_devices_behind_one_address_are_one_neighbour() -> None:
    watch = SourceWatch()
    assert watch.knocked(EDGE, "dev_1", "vera", NOON) is None
    assert watch.knocked(EDGE, "dev_2", "vera", NOON) is None
    assert watch.shared(NOON) == []


def test_devices_of_two_people_make_an_address_shared_and_it_is_told_once_a_day() -> None:
    watch = SourceWatch()
    watch.knocked(EDGE, "dev_1", "vera", NOON)
    found = watch.knocked(EDGE, "dev_2", "otto", NOON + MINUTE)
    assert found is not None
    assert (found.address, found.devices, found.strangers) == (EDGE, 2, 0)
    assert watch.knocked(EDGE, "dev_3", "ines", NOON + 2 * MINUTE) is None
    assert [one.devices for one in watch.shared(NOON + 2 * MINUTE)] == [3]


def test_a_stranger_who_comes_through_a_devices_window_makes_its_address_shared() -> None:
    watch = SourceWatch()
    assert watch.refused(EDGE, "unknown_knock", NOON) is None
    found = watch.knocked(EDGE, "dev_1", "vera", NOON)
    assert found is not None
    assert (found.devices, found.strangers) == (1, 1)


def test_a_clients_own_spare_attempts_are_no_strangers() -> None:
    watch = SourceWatch()
    watch.knocked(EDGE, "dev_1", "vera", NOON)
    assert watch.refused(EDGE, "closed", NOON) is None
    assert watch.refused(EDGE, "expired", NOON) is None
    assert watch.shared(NOON) == []


def test_after_a_day_without_others_an_address_is_one_neighbour_again() -> None:
    watch = SourceWatch()
    watch.knocked(EDGE, "dev_1", "vera", NOON)
    watch.knocked(EDGE, "dev_2", "otto", NOON)
    later = NOON + sources.REMEMBERED + MINUTE
    assert watch.knocked(EDGE, "dev_1", "vera", later) is None
    assert watch.shared(later) == []
    assert watch.knocked(EDGE, "dev_2", "otto", later) is not None


@given(st.integers(min_value=1, max_value=50))
def test_however_many_addresses_come_the_memory_is_bounded(more: int) -> None:
    watch = SourceWatch()
    for number in range(MOST_ADDRESSES + more):
        watch.refused(str(number), "silent", NOON)
    assert len(watch._seen) == MOST_ADDRESSES
