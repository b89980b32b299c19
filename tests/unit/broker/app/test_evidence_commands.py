"""`sallyport evidence`."""

from pathlib import Path

from typer.testing import CliRunner

from broker.app.commands import app
from recorder.onefile import one_file


def test_the_verifier_is_written_once_and_never_over_another_file(tmp_path: Path) -> None:
    path = tmp_path / "verify.py"
    assert CliRunner().invoke(app, ["evidence", "verifier", "-o", str(path)]).exit_code == 0
    assert path.read_text("utf-8") == one_file("verify.py")
    path.write_text("mine")
    assert CliRunner().invoke(app, ["evidence", "verifier", "-o", str(path)]).exit_code == 1
    assert path.read_text() == "mine"
