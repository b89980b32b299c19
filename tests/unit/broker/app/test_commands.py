import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker.app import commands, console_client
from broker.app.house import House
from broker.app.settings import Settings

_SESSION = console_client.ConsoleSession("https://10.20.0.10:8443", "pem", "cookie", "csrf", "Wu")


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    console_client.save(_SESSION, console_client.session_file())
    return CliRunner()


def test_the_trail_reads_from_old_to_new(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [
        {"seq": 2, "at": "b", "code": "two", "actor": "psn_1", "subject": "x", "params": {"reason": "later"}},
        {"seq": 1, "at": "a", "code": "one", "actor": "psn_1", "subject": "x", "params": {}},
    ]
    monkeypatch.setattr(console_client, "get", lambda *_: json.dumps({"items": items}).encode())
    lines = runner.invoke(commands.app, ["audit", "list"]).output.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2"]
    assert "reason=later" in lines[1]


def test_a_broken_chain_is_an_exit_status(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"verified": False, "last_seq": 3}
    monkeypatch.setattr(console_client, "get", lambda *_: json.dumps(state).encode())
    assert runner.invoke(commands.app, ["audit", "state"]).exit_code == 1


def test_a_recording_is_played_by_asciinema(runner: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    player = tmp_path / "player"
    player.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\ncat "$6" >> {tmp_path}/called\n')
    player.chmod(0o755)
    monkeypatch.setattr(commands, "_player", lambda: str(player))
    monkeypatch.setattr(console_client, "get", lambda session, path: f"cast of {path}".encode())
    assert runner.invoke(commands.app, ["recordings", "play", "rec_1"]).exit_code == 0
    called = (tmp_path / "called").read_text()
    assert called.startswith("play -s 1.0 -i 2.0 ")
    assert called.endswith("cast of /recordings/rec_1/cast")
    assert not Path(called.split()[5]).exists()


def test_an_export_never_overwrites(runner: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(console_client, "get", lambda *_: b"cast")
    target = tmp_path / "out.cast"
    assert runner.invoke(commands.app, ["recordings", "export", "rec_1", "-o", str(target)]).exit_code == 0
    assert target.stat().st_mode & 0o077 == 0
    assert runner.invoke(commands.app, ["recordings", "export", "rec_1", "-o", str(target)]).exit_code == 1


def test_set_up_is_for_root(runner: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = runner.invoke(commands.app, ["init", "--config", str(tmp_path / "x.toml")])
    assert result.exit_code == 1


def test_every_setting_is_listed() -> None:
    output = CliRunner().invoke(commands.app, ["config"]).output
    assert "vendor_face.knock_ports" in output


@pytest.mark.parametrize("damaged", [False, True])
def test_verify_says_by_its_status_what_it_found(
    runner: CliRunner, house: House, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damaged: bool
) -> None:
    house.people.first_administrator("chief")
    house.witness.conclude()
    if damaged:
        with house.database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE audit_events SET actor = 'psn_nobody'")
    monkeypatch.setattr(commands, "_become_control", lambda _read: None)
    monkeypatch.setattr(commands.settings, "load", lambda _path: settings)
    result = runner.invoke(commands.app, ["verify", "--json"])
    assert result.exit_code == int(damaged)
    first = json.loads(result.output)["first_bad"]
    assert (first is not None and first["place"] == "record 1") is damaged
    assert ("FIRST BAD" in runner.invoke(commands.app, ["verify"]).output) is damaged
