from datetime import timedelta
from pathlib import Path

import pytest

from broker.recordings.forecast import Level, Space
from broker.recordings.forecasting import Forecasting, space_of
from tests.unit.broker.recordings.old import KEEP, Archive, an_archive
from tests.unit.broker.sessions.plant import Plant

GIB = 1 << 30


class Disk:
    def __init__(self, free: int) -> None:
        self.free = free
        self.asked = 0

    def __call__(self) -> Space:
        self.asked += 1
        if self.free < 0:
            raise OSError("gone")
        return Space(1000 * GIB, self.free, 0)


@pytest.fixture
def archive(plant: Plant) -> Archive:
    return an_archive(plant)


def forecasting(archive: Archive, disk: Disk) -> Forecasting:
    world = archive.plant.world
    return Forecasting(world.database, world.clock, space=disk, keep=KEEP)


def levels(archive: Archive) -> list[tuple[object, object]]:
    return [
        (one.params["before"], one.params["level"])
        for one in archive.plant.world.trail()
        if one.code == "recordings.storage.forecast"
    ]


def test_what_is_kept_is_counted_until_its_file_is_gone(archive: Archive) -> None:
    (gone,) = archive.purged()
    archive.recorded()
    one = forecasting(archive, Disk(500 * GIB))
    size = archive.purging.kept(gone).recording.bytes_written
    before = one.outlook().kept_bytes
    with archive.plant.world.database.unit_of_work() as unit:
        archive.removals.removal_within(unit, gone, "removed")
    archive.plant.world.clock.move(timedelta(seconds=60))
    assert one.outlook().kept_bytes == before - size > 0


def test_only_the_last_weeks_make_the_rate(archive: Archive) -> None:
    archive.recorded()
    one = forecasting(archive, Disk(500 * GIB))
    assert one.outlook().bytes_per_day > 0
    archive.plant.world.clock.move(timedelta(days=29))
    assert (one.outlook().bytes_per_day, one.outlook().level) == (0, Level.UNKNOWN)


def test_a_forecast_is_made_once_a_minute(archive: Archive) -> None:
    disk = Disk(500 * GIB)
    one = forecasting(archive, disk)
    assert one.outlook() == one.outlook()
    assert disk.asked == 1
    archive.plant.world.clock.move(timedelta(seconds=60))
    one.outlook()
    assert disk.asked == 2


def test_a_change_of_level_is_told_once_and_looked_for_every_hour(archive: Archive) -> None:
    archive.recorded()
    disk = Disk(500 * GIB)
    one = forecasting(archive, disk)
    one.watch()
    assert levels(archive) == []
    disk.free = 0
    one.watch()
    assert levels(archive) == []
    for free in (0, 0, 500 * GIB, 500 * GIB):
        disk.free = free
        archive.plant.world.clock.move(timedelta(hours=1))
        one.watch()
    assert levels(archive) == [("good", "full"), ("full", "good")]


def test_a_disk_that_does_not_answer_is_an_error_and_not_a_good_outlook(archive: Archive) -> None:
    with pytest.raises(OSError, match="gone"):
        forecasting(archive, Disk(-1)).outlook()


def test_the_space_of_a_folder_is_its_file_systems(tmp_path: Path) -> None:
    space = space_of(tmp_path, 5)
    assert 0 <= space.free_bytes <= space.total_bytes
    assert space.least_free_bytes == 5
    with pytest.raises(OSError, match="No such file"):
        space_of(tmp_path / "gone", 5)
