import pytest

from deploy.demo.lab import VENDOR, Lab
from deploy.demo.terminal import Terminal
from deploy.demo.workstation import open_desks

pytestmark = pytest.mark.netns


def test_two_people_share_a_host_and_cannot_read_each_other(lab: Lab) -> None:
    desks = open_desks(lab, VENDOR, "laptop", {"keller": "Jonas Keller", "brandt": "Eva Brandt"})
    keller, brandt = desks["keller"], desks["brandt"]
    assert keller.run(["sh", "-c", "umask 077; echo mine > note; id -un; hostname"]).stdout == "keller\nlaptop\n"
    assert (keller.home / "note").read_text() == "mine\n"
    assert brandt.run(["cat", "/home/keller/note"]).returncode != 0
    assert keller.run(["sh", "-c", "echo x > $XDG_RUNTIME_DIR/x && ls /run/netns"]).returncode != 0
    stock = keller.run(["ssh", "-G", "example.invalid"])
    assert "/home/keller/.ssh/" in stock.stdout
    assert keller.run(keller.module_argv("deploy.demo.console_relay", "--help")).returncode == 0
    with Terminal(keller.argv(["sh", "-c", "tty; stty size; id -u"]), owner_uid=keller.account.uid) as terminal:
        terminal.expect(r"/dev/pts/\d+\s+30 100\s+61200")
        assert terminal.wait() == 0
