import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker.app import host_knock, knock_commands
from broker.app.errors import CommandError

_CONFIG = """
[site]
name = "demo"
run_dir = "{run}"
[vendor_face]
host = "203.0.113.10"
interface = "out0"
[plant_face]
host = "10.20.0.10"
interface = "mgmt0"
networks = ["10.30.0.0/24"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "sallyport.toml"
    path.write_text(_CONFIG.format(run=tmp_path))
    return path


def test_only_root_may_ask(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = CliRunner().invoke(knock_commands.app, ["status", "--config", str(config)])
    assert isinstance(result.exception, CommandError)


def test_the_status_is_shown_for_people_and_for_machines(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def answer(path: Path) -> dict[str, object]:
        asked.append(path)
        return {"guard": {"connected": False, "state": None}, "opener": {}}

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(host_knock, "asked", answer)
    shown = CliRunner().invoke(knock_commands.app, ["status", "--config", str(config)])
    assert "not connected to control" in shown.output
    assert (
        '"connected": false'
        in CliRunner().invoke(knock_commands.app, ["status", "--json", "--config", str(config)]).output
    )
    assert asked[0] == config.parent / "knock-status.sock"
