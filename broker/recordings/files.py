"""Pure: the names of recordings' files. Made of the id and nothing else, never of outside input."""

from typing import Final

from broker.kernel.ids import is_id

SUFFIX: Final = ".sallyrec"


def file_name_of(recording_id: str) -> str:
    """The name of a recording's file. Raises ValueError when the text is no recording's id."""
    if not is_id("rec", recording_id):
        raise ValueError("not a recording's id")
    return recording_id + SUFFIX
