from datetime import UTC, datetime

import pytest

from broker.recordings.copy_model import Copy, CopyState, Place, place_of

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "place"),
    [
        (None, Place.LOCAL),
        (CopyState.GROWING, Place.LOCAL),
        (CopyState.STORED, Place.LOCAL),
        (CopyState.VERIFIED, Place.BOTH),
        (CopyState.RELEASED, Place.OBJECT_STORE),
    ],
)
def test_a_recording_lies_elsewhere_only_when_its_copy_was_verified(state: CopyState | None, place: Place) -> None:
    copy = None if state is None else Copy("rec_1", state, 1, 0, None, False, None, None, None, None, None)
    assert place_of(copy, is_destroyed=False) is place
    assert place_of(copy, is_destroyed=True) is Place.GONE
