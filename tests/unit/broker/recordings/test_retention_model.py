from broker.recordings.retention_model import Barrier, PurgeCommand, PurgeState
from broker.recordings.retention_rules import MOVES


def test_every_end_of_a_purge_is_reached_by_a_command_of_its_own() -> None:
    assert {command for _, command in MOVES} == set(PurgeCommand)
    assert set(MOVES.values()) == set(PurgeState) - {PurgeState.ASKED}


def test_a_barrier_makes_a_code() -> None:
    assert all(one.value.replace("_", "").isalpha() for one in Barrier)
