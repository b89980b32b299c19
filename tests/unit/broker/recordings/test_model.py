import pytest

from broker.identities.testing import NOON
from broker.recordings.model import ClosedFacts, OpenedFacts, RecordingState


def test_an_opened_recording_has_whole_keys() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        OpenedFacts(b"short", bytes(32))


@pytest.mark.parametrize(
    ("state", "frames", "head"),
    [
        (RecordingState.OPEN, 1, bytes(32)),
        (RecordingState.SEALED, 1, None),
        (RecordingState.BROKEN, -1, None),
    ],
)
def test_a_closed_recording_is_sealed_with_a_head_or_broken(
    state: RecordingState, frames: int, head: bytes | None
) -> None:
    assert ClosedFacts(RecordingState.BROKEN, 0, 0, 0, None, None, NOON)
    with pytest.raises(ValueError, match="recording"):
        ClosedFacts(state, frames, 1, 1, head, bytes(64), NOON)
