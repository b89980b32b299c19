import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker.app import commands, console_client
from broker.app.errors import CommandError

_SESSION = console_client.ConsoleSession("https://10.20.0.10:8443", "pem", "cookie", "csrf", "Wu")
_TOLD = {"state": "received", "at": "2026-11-20T12:00:00Z", "refusal": None, "receipt": '{"v":1}'}


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    console_client.save(_SESSION, console_client.session_file())
    return CliRunner()


def site_tells(monkeypatch: pytest.MonkeyPatch, **told: str | None) -> None:
    answers = {"/recordings/rec_1": {"session_id": "ses_1"}, "/sessions/ses_1/receipt": {**_TOLD, **told}}
    monkeypatch.setattr(console_client, "get", lambda _, path: json.dumps(answers[path]).encode())


def test_a_receipt_is_written_as_its_device_signed_it_and_never_over_another_file(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site_tells(monkeypatch)
    file = tmp_path / "one.receipt"
    words = ["recordings", "receipt", "rec_1", "-o", str(file)]
    done = runner.invoke(commands.app, words)
    assert (done.exit_code, file.read_text()) == (0, '{"v":1}\n')
    assert done.output.startswith("rec_1 received 2026-11-20T12:00:00Z\n")
    assert file.stat().st_mode & 0o077 == 0
    again = runner.invoke(commands.app, words)
    assert isinstance(again.exception, CommandError)
    assert "cannot be written" in str(again.exception)


@pytest.mark.parametrize(
    ("state", "refusal", "status", "says"),
    [
        ("missing", None, 1, "rec_1 missing"),
        ("refused", "went_back", 1, "rec_1 refused went_back"),
        ("awaited", None, 0, "rec_1 awaited"),
    ],
)
def test_what_is_missing_or_refused_is_an_exit_status(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, state: str, refusal: str | None, status: int, says: str
) -> None:
    site_tells(monkeypatch, state=state, refusal=refusal, receipt=None)
    done = runner.invoke(commands.app, ["recordings", "receipt", "rec_1"])
    assert done.exit_code == status
    assert done.output.startswith(says)


def test_a_receipt_that_is_not_there_is_not_written(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site_tells(monkeypatch, state="missing", receipt=None)
    done = runner.invoke(commands.app, ["recordings", "receipt", "rec_1", "-o", str(tmp_path / "none")])
    assert isinstance(done.exception, CommandError)
    assert "it is missing" in str(done.exception)
    assert not (tmp_path / "none").exists()
