"""A laptop's very first connection: stock scp and ssh from an empty home, and no private SSH key on its disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.site.world import KELLER, NAME, World

pytestmark = pytest.mark.netns


def test_the_very_first_scp_and_ssh_work_and_leave_no_private_key_on_the_disk(world: World) -> None:
    """First of this folder: Keller's laptop has never connected."""
    name = KELLER.username
    desk = world.desks[name]
    assert list(desk.home.iterdir()) == []
    world.settle(name)
    assert not (desk.home / ".ssh" / "known_hosts").exists()
    world.grant(name)
    (desk.home / "patch.bin").write_bytes(b"patch " * 1000)
    sent = desk.run(["scp", "patch.bin", f"{NAME}:"])
    assert sent.returncode == 0, sent.stderr
    shown = world.ssh(name, "cat patch.bin | tee again.bin | wc -c")
    assert (shown.returncode, shown.stdout.strip()) == (0, "6000"), shown.stderr
    brought = desk.run(["scp", f"{NAME}:again.bin", "."])
    assert brought.returncode == 0, brought.stderr
    assert (desk.home / "again.bin").read_bytes() == b"patch " * 1000
    keys = desk.run(["grep", "-rlE", "PRIVATE KEY|BEGIN OPENSSH", desk.account.home]).stdout.split()
    assert [Path(key).name for key in keys] == ["device.key"]
