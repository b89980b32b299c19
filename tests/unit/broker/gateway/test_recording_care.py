"""How recordings are cared for: levels and bounds."""

import pytest

from broker.gateway.recording_care import RecordingCare, RoomLevel

GIB = 1 << 30


@pytest.mark.parametrize(
    ("used", "free", "level"),
    [
        (79, 21, RoomLevel.GOOD),
        (80, 20, RoomLevel.FILLING),
        (89, 11, RoomLevel.FILLING),
        (90, 10, RoomLevel.NEARLY_FULL),
        (94, 6, RoomLevel.NEARLY_FULL),
        (95, 5, RoomLevel.FULL),
        (100, 0, RoomLevel.FULL),
        (0, 0, RoomLevel.FULL),
    ],
)
def test_the_level_follows_what_is_used(used: int, free: int, level: RoomLevel) -> None:
    assert RecordingCare().level(used * GIB, free * GIB) is level


def test_less_free_than_the_least_is_full_however_large_the_disk() -> None:
    care = RecordingCare(least_free_bytes=100)
    assert care.level(1, 99) is RoomLevel.FULL
    assert care.level(1, 100) is RoomLevel.GOOD


def test_four_fifths_of_the_bound_are_nearly_all() -> None:
    care = RecordingCare(most_bytes=1000)
    assert [care.is_nearly_spent(count) for count in (799, 800)] == [False, True]
    assert not RecordingCare(most_bytes=0).is_nearly_spent(10**15)


def test_the_gateways_thread_syncs_and_not_the_writer() -> None:
    settings = RecordingCare(reserve_bytes=5, most_bytes=7).writer_settings()
    assert (settings.sync_every_seconds, settings.reserve_bytes, settings.most_bytes) == (0, 5, 7)
