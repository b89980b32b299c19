import pytest
from sqlalchemy.exc import IntegrityError

from broker.recordings import store
from broker.recordings.store import RecordingRow
from broker.sessions.store import SessionRow  # noqa: F401 - recordings refer to its table
from tests.unit.broker.recordings.files import open_recording_of
from tests.unit.broker.sessions.plant import Plant


def test_a_session_has_one_recording(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    with plant.world.database.reading() as session:
        found = store.get(session, recorded.recording_id)
        assert found is not None
        assert found.session_id == recorded.session_id
        assert store.get(session, "rec_x") is None
    with pytest.raises(IntegrityError), plant.world.database.unit_of_work() as unit:
        row = unit.session.get(RecordingRow, recorded.recording_id)
        assert row is not None
        unit.session.add(RecordingRow(**(row.model_dump() | {"id": "rec_2"})))
