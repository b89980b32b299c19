import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker.app import boundary_commands
from broker.app.errors import CommandError

_PLAN = """
[broker]
interface = "dmz0"
addresses = ["10.1.0.2"]

[[zone]]
name = "Press shop"
interface = "plant0"
prefixes = ["10.2.0.0/24"]

[[zone.management]]
name = "press-4"
address = "10.2.0.5"
port = 22

[[outside]]
name = "office"
interface = "off0"
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "boundary.toml"
    path.write_text(_PLAN)
    return path


def test_the_rules_name_the_target_and_can_be_taken_back(plan: Path) -> None:
    rules = CliRunner().invoke(boundary_commands.app, ["render", "--plan", str(plan)]).output
    assert "10.2.0.5" in rules
    assert (
        "sallyport_boundary"
        in CliRunner().invoke(boundary_commands.app, ["render", "--plan", str(plan), "--undo"]).output
    )


def test_a_firewall_without_the_rules_is_told_apart(plan: Path, tmp_path: Path) -> None:
    export = tmp_path / "export.json"
    export.write_text(json.dumps({"nftables": [{"metainfo": {"json_schema_version": 1}}]}))
    result = CliRunner().invoke(boundary_commands.app, ["check", "--plan", str(plan), "--export", str(export)])
    assert result.exit_code == 1
    assert result.output


@pytest.mark.parametrize(("content", "complaint"), [("[broker", "not valid TOML"), ("[brokr]\n", "brok")])
def test_a_plan_that_cannot_be_used_is_named(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "boundary.toml"
    path.write_text(content)
    with pytest.raises(CommandError, match=complaint):
        boundary_commands.read_plan(path)


def test_a_plan_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        boundary_commands.read_plan(tmp_path / "absent.toml")
