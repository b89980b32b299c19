from pathlib import Path

import pytest

from deploy.demo.lab import OFFICE, Lab, LabError
from deploy.demo.room import Account, Plan, open_room, write_users

pytestmark = pytest.mark.netns


def _plan(folder: Path, over: tuple[tuple[str, str], ...], *, own_processes: bool) -> Plan:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return Plan("desk-7", over, ("/home", "/run"), ((str(home), "/home/ada"),), own_processes, str(folder / "room.pid"))


def test_an_account_of_the_room_has_its_own_home_names_and_no_rights(lab: Lab, tmp_path: Path) -> None:
    ada = Account("ada", 61999, "/home/ada", full_name="Ada")
    plan = _plan(tmp_path, write_users(tmp_path, [ada]), own_processes=False)
    room = open_room(lab, OFFICE, plan, ["sleep", "100"], tmp_path / "log")
    argv = room.argv(
        ["sh", "-c", "id -un; hostname; pwd; ls /run; grep CapEff /proc/self/status; echo $COLOUR"],
        account=ada,
        env={"PATH": "/usr/bin:/bin", "COLOUR": "green"},
    )
    out = lab.run(OFFICE, argv).stdout.split()
    assert out == ["ada", "desk-7", "/home/ada", "CapEff:", "0000000000000000", "green"]


def test_a_room_with_its_own_processes_ends_with_all_of_them(lab: Lab, tmp_path: Path) -> None:
    plan = _plan(tmp_path, (), own_processes=True)
    argv = ["sh", "-c", "sleep 98.7654 & wait"]
    room = open_room(lab, OFFICE, plan, argv, tmp_path / "log")
    room.end()
    assert room.process.poll() is not None
    assert lab.run(OFFICE, ["pgrep", "-f", "^sleep 98.7654"], check=False).stdout == ""


def test_a_room_that_cannot_be_furnished_says_why(lab: Lab, tmp_path: Path) -> None:
    plan = _plan(tmp_path, ((str(tmp_path / "absent"), "/etc/passwd"),), own_processes=False)
    with pytest.raises(LabError, match="absent"):
        open_room(lab, OFFICE, plan, ["true"], tmp_path / "log")
