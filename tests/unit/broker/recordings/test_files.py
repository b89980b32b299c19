import pytest

from broker.recordings.files import file_name_of


def test_a_files_name_is_made_of_a_recordings_id_and_of_nothing_else() -> None:
    name = "rec_" + "0" * 26
    assert file_name_of(name) == f"{name}.sallyrec"
    for other in ("", "../rec_x", f"{name}/..", "ses_" + "0" * 26):
        with pytest.raises(ValueError, match="not a recording's id"):
            file_name_of(other)
