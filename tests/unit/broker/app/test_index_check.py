"""The console's index is held against the trail, as `sallyport verify` does it."""

import pytest

from tests.unit.broker.app.evidence import Evidence, first_bad


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("UPDATE recordings SET signing_public = zeroblob(32)", "signing_public"),
        ("UPDATE recordings SET head_sha256 = zeroblob(32)", "head_sha256"),
        ("UPDATE recordings SET header_sha256 = zeroblob(32)", "header_sha256"),
        ("UPDATE recordings SET state = 'broken'", "state"),
    ],
)
def test_an_index_that_differs_from_the_trail_is_named(made: Evidence, statement: str, column: str) -> None:
    made.sql(statement)
    assert first_bad(made.verify()) == ("index", "altered", f"{made.sealed.recording_id}, {column}")


def test_a_recording_taken_out_of_the_index_is_named(made: Evidence) -> None:
    made.sql("DROP TRIGGER recordings_stay_in_the_index")
    made.sql("DELETE FROM recordings")
    assert first_bad(made.verify()) == ("index", "missing", made.sealed.recording_id)


def test_an_index_that_cannot_be_read_is_a_finding(made: Evidence) -> None:
    made.sql("UPDATE recordings SET id = CAST(x'fffe' AS TEXT)")
    assert first_bad(made.verify()) == ("index", "unreadable", "recordings")
