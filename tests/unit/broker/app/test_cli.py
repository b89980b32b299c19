import subprocess
import sys
from pathlib import Path

import pytest

from broker.app import cli, supervisor

_VALID = """
[site]
name = "demo"
[vendor_face]
host = "203.0.113.10"
interface = "out0"
[plant_face]
host = "10.20.0.10"
interface = "mgmt0"
networks = ["10.30.0.0/24"]
"""


def test_up_brings_the_named_site_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "site.toml"
    path.write_text(_VALID)
    seen = []
    monkeypatch.setattr(supervisor, "up", lambda settings, config: seen.append((settings.site.name, config)) or 0)
    monkeypatch.setattr(sys, "argv", ["sallyport", "up", "--config", str(path)])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert seen == [("demo", path)]


def test_rules_closes_everything_and_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "site.toml"
    path.write_text(_VALID)
    closed = []
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setattr(supervisor, "close_everything", lambda settings, layout: closed.append((settings, layout)))
    monkeypatch.setattr(supervisor, "up", lambda *_: pytest.fail("nothing is to be started"))
    monkeypatch.setattr(sys, "argv", ["sallyport", "rules", "--config", str(path)])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    ((settings, layout),) = closed
    assert (settings.site.name, str(layout.run)) == ("demo", "/run/sallyport")


@pytest.mark.parametrize(("words", "how"), [([], ("--on-trial",)), (["final"], ())])
def test_over_ssh_rules_are_on_trial_unless_they_are_said_to_be_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], how: tuple[str, ...]
) -> None:
    path = tmp_path / "site.toml"
    path.write_text(_VALID)
    loaded = []
    monkeypatch.setenv("SSH_CONNECTION", "10.30.0.9 50000 10.20.0.10 22")
    monkeypatch.setattr(supervisor, "close_everything", lambda _settings, _layout, *how: loaded.append(how))
    assert cli._early("rules", [*words, "--config", str(path)]) == 0
    assert loaded == [how]


def test_confirming_without_a_trial_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "site.toml"
    path.write_text(f"{_VALID}\n")
    monkeypatch.setattr(supervisor.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))
    assert cli._early("rules", ["confirm", "--config", str(path)]) == 1
    assert "no rules wait" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--confg", "x"], ["now"], ["--config"]])
def test_a_wrong_call_says_how_it_is_called(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli._early("up", arguments) == 2
    assert "usage: sallyport up" in capsys.readouterr().err


def test_settings_that_cannot_be_used_are_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli._early("rules", ["--config", str(tmp_path / "absent.toml")]) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["serve", "alive"])
def test_only_parts_that_exist_are_served_or_asked(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli._early(name, ["database"]) == 2
    assert f"usage: sallyport {name}" in capsys.readouterr().err


def test_serve_becomes_the_one_process_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "site.toml"
    path.write_text(_VALID.replace("203.0.113.10", "127.0.0.1"))
    became = []
    monkeypatch.setattr(supervisor, "become", lambda program, environment: became.append((program, environment)))
    assert cli._early("serve", ["guard", "--config", str(path)]) == 0
    ((program, environment),) = became
    assert (program.name, program.uid, environment) == ("guard", 61185, {})
    assert [(name, sock.getsockname()) for name, sock in program.sockets] == [("knock", ("127.0.0.1", 62201))]
    program.sockets[0][1].close()
