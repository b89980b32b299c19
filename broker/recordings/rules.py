"""The recording's state machine."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from broker.recordings import errors
from broker.recordings.model import RecordingCommand, RecordingState

MOVES: Final[Mapping[tuple[RecordingState, RecordingCommand], RecordingState]] = MappingProxyType(
    {
        (RecordingState.OPEN, RecordingCommand.SEAL): RecordingState.SEALED,
        (RecordingState.OPEN, RecordingCommand.BREAK): RecordingState.BROKEN,
    }
)


def moved(state: RecordingState, command: RecordingCommand) -> RecordingState:
    """The state after this command.

    Raises Conflict (`recordings.not_in_state`) when the table has no such move.
    """
    after = MOVES.get((state, command))
    if after is None:
        raise errors.not_in_state(state.value, command.value)
    return after
