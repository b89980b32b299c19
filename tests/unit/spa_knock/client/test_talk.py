"""How a command speaks."""

import io
import json
from pathlib import Path

import pytest

from spa_knock.client import talk
from spa_knock.client.errors import ClientError, Exit
from spa_knock.client.fields import FieldError
from spa_knock.client.home import Home
from spa_knock.client.invite import MOST_TEXT, PREFIX
from tests.unit.spa_knock.client.conftest import RunningAgent

ERROR = ClientError("denied", "Not allowed", "the plant said no", "Ask again")


def test_data_goes_out_as_lines_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    talk.show({"name": "包装线"}, lambda data: [f"name {data['name']}"], as_json=False)
    talk.show({"name": "包装线"}, lambda _: ["unused"], as_json=True)
    lines, found = capsys.readouterr().out.split("\n", 1)
    assert lines == "name 包装线"
    assert json.loads(found) == {"name": "包装线"}


def test_data_that_cannot_be_shown_is_a_refusal() -> None:
    def broken(_: object) -> list[str]:
        raise FieldError("id is missing")

    with pytest.raises(ClientError, match="id is missing"):
        talk.show({}, broken, as_json=False)


def test_errors_say_what_why_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    talk.complain(ERROR, as_json=False)
    talk.complain(ERROR, as_json=True)
    found = capsys.readouterr()
    assert found.out == ""
    what, do, document = found.err.splitlines()
    assert (what, do) == ("x Not allowed: the plant said no", "  Do: Ask again")
    assert json.loads(document)["error"]["code"] == "denied"


def test_talk_keeps_quiet_when_told(capsys: pytest.CaptureFixture[str]) -> None:
    talk.say("hello", quiet=True)
    talk.say("again", quiet=False)
    assert capsys.readouterr().err == "again\n"


def test_without_a_terminal_nothing_is_asked() -> None:
    with pytest.raises(ClientError, match="no terminal") as refused:
        talk.secret("", "password")
    assert refused.value.exit_code is Exit.USAGE


def test_a_refused_call_is_raised_with_its_code(agent: RunningAgent) -> None:
    agent.login()
    assert talk.call_site(agent.home, "GET", "/targets")["items"]
    with pytest.raises(ClientError) as refused:
        talk.call_site(agent.home, "GET", "/access-requests/req_unknown")
    assert refused.value.code == "not_found"


def test_calls_need_a_device_before_an_agent(home: Home) -> None:
    with pytest.raises(ClientError, match="not enrolled"):
        talk.call_site(home, "GET", "/targets")


def test_an_invite_is_pasted_or_read_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "invite"
    path.write_text("x" * (MOST_TEXT + 9))
    assert talk.invite_text(PREFIX + "abc") == PREFIX + "abc"
    assert len(talk.invite_text(str(path))) == MOST_TEXT + 1
    monkeypatch.setattr("sys.stdin", io.StringIO("from standard input"))
    assert talk.invite_text("-") == "from standard input"
    with pytest.raises(ClientError, match="FileNotFoundError"):
        talk.invite_text(str(tmp_path / "none"))


def test_a_new_passphrase_that_is_typed_is_typed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "passphrase"
    path.write_text("correct horse\n")
    path.chmod(0o600)
    assert talk.new_passphrase(str(path)) == "correct horse"
    typed = iter(["correct horse", "correct horse", "correct horse", "wrong horse"])
    monkeypatch.setattr(talk, "prompt", lambda _what, *, hidden=True: next(typed))
    assert talk.new_passphrase("") == "correct horse"
    with pytest.raises(ClientError, match="differ"):
        talk.new_passphrase("")
