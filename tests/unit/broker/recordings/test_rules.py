import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.kernel.errors import Conflict
from broker.recordings import rules
from broker.recordings.model import RecordingCommand, RecordingState


@given(commands=st.lists(st.sampled_from(RecordingCommand), max_size=5))
def test_a_recording_ends_once_and_never_opens_again(commands: list[RecordingCommand]) -> None:
    state = RecordingState.OPEN
    for number, command in enumerate(commands):
        if number == 0:
            state = rules.moved(state, command)
            assert state is not RecordingState.OPEN
            continue
        with pytest.raises(Conflict) as caught:
            rules.moved(state, command)
        assert caught.value.code == "recordings.not_in_state"
