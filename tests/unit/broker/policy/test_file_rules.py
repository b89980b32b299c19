"""Directions of the permit, and protected paths."""

import pytest

from broker.policy.command_rules import CommandAction, CommandRule, CommandRules, linux_default
from broker.policy.file_rules import FileAction, FileRules

BOTH = frozenset({"shell", "file_upload", "file_download"})


@pytest.mark.parametrize(
    ("channels", "allowed"),
    [
        ({"exec"}, set()),
        ({"file_download"}, {FileAction.LOOK, FileAction.DOWNLOAD}),
        ({"file_upload"}, set(FileAction) - {FileAction.DOWNLOAD}),
        ({"file_upload", "file_download"}, set(FileAction)),
    ],
)
def test_each_direction_is_a_channel_of_the_permit(channels: set[str], allowed: set[FileAction]) -> None:
    rules = FileRules(frozenset(channels), linux_default())
    assert {action for action in FileAction if rules.permits(action) is None} == allowed


@pytest.mark.parametrize(
    "path",
    ["/srv/data", "/srv/data/", "/srv/data/a/b", "/srv", "/", "//srv//data/x", "/tmp/../srv/data/x", "/etc/passwd",
     "/home", "/var", "/var/log"],
)  # fmt: skip
def test_what_a_rule_protects_is_protected_from_file_transfer(path: str) -> None:
    refusal = FileRules(BOTH, linux_default()).protects(path)
    assert refusal is not None
    assert refusal.rule_id == "linux.recursive-removal"


@pytest.mark.parametrize("path", ["/srv/database", "/srv/other", "/home/user/x", "/var/log/app.log", "/tmp/srv/data"])
def test_what_lies_elsewhere_is_not(path: str) -> None:
    assert FileRules(BOTH, linux_default()).protects(path) is None


def test_a_block_is_named_before_a_hold_and_a_rule_without_paths_protects_nothing() -> None:
    hold = CommandRule("r.hold", CommandAction.HOLD, ("mv",), trees=("/srv",))
    block = CommandRule("r.block", CommandAction.BLOCK, ("rm",), trees=("/srv/data",))
    rules = FileRules(BOTH, CommandRules("1", (hold, block)))
    found = rules.protects("/srv/data/x"), rules.protects("/srv/x")
    assert [refusal.rule_id for refusal in found if refusal is not None] == ["r.block", "r.hold"]
    bare = FileRules(BOTH, CommandRules("1", (CommandRule("r", CommandAction.BLOCK, ("reboot",)),)))
    assert not bare.protects_something
    assert bare.protects("/") is None
