from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from broker.recordings import copy_store
from recorder.stores.port import Stored
from tests.unit.broker.recordings.copied import Copied, copied_plant
from tests.unit.broker.sessions.plant import Plant


@pytest.fixture
def site(plant: Plant, tmp_path: Path) -> Iterator[Copied]:
    with copied_plant(plant, tmp_path) as made:
        yield made


def test_only_a_verified_object_is_ever_read(site: Copied) -> None:
    recorded = site.archive.recorded()
    site.rig.bucket.drops_lock = True
    site.steps()
    assert site.copy(recorded.recording_id).stored is not None
    with site.plant.world.database.reading() as session:
        assert copy_store.verified_object(session, recorded.recording_id) is None
    site.rig.bucket.drops_lock = False
    site.move(timedelta(days=1))
    site.steps()
    kept = site.rig.bucket.objects[-1]
    with site.plant.world.database.reading() as session:
        found = copy_store.verified_object(session, recorded.recording_id)
        assert found == Stored(recorded.recording_id, len(kept.data), kept.version)
        assert copy_store.verified_object(session, "rec_unknown") is None


def test_copies_are_counted_and_what_ended_without_one_waits(site: Copied) -> None:
    site.archive.recorded()
    with site.plant.world.database.reading() as session:
        found, failing, waiting = copy_store.counts(session)
    assert (sum(found.values()), failing, waiting > 0) == (0, 0, True)
    site.steps()
    with site.plant.world.database.reading() as session:
        assert copy_store.counts(session) == ({"growing": 0, "stored": 0, "verified": 1, "released": 0}, 0, 0)


def test_what_ended_is_stored_before_what_still_grows(site: Copied) -> None:
    first = site.archive.recorded().recording_id
    with site.plant.world.database.reading() as session:
        now = site.plant.world.clock.now()
        assert [one.id for one, _ in copy_store.to_be_stored(session, now, 10)] == [first]
        assert list(copy_store.wanted(session, 10)) == [first]
        assert copy_store.to_be_verified(session, now, 10) == []
        assert copy_store.held_otherwise(session, now, 10) == []
        assert copy_store.to_be_released(session, now, 10) == []
        assert copy_store.to_be_removed(session, now, 10) == []
