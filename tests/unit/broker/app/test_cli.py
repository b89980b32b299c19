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


@pytest.mark.parametrize("arguments", [["--confg", "x"], ["now"], ["--config"]])
def test_a_wrong_call_says_how_it_is_called(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli._up(arguments) == 2
    assert "usage: sallyport up" in capsys.readouterr().err


def test_settings_that_cannot_be_used_are_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli._up(["--config", str(tmp_path / "absent.toml")]) == 1
    assert "cannot be read" in capsys.readouterr().err
