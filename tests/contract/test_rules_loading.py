"""Loading the rules on trial, in a namespace: what is not confirmed is taken back, without anybody's help."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.namespaces import ROOT, run
from tests.unit.spa_knock.opener.testing import CONFIG_TEXT

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root, iproute2 and nftables"),
]
_SHORT_TRIAL = """
import sys
from spa_knock.opener import loading, __main__
loading.TRIAL_SECONDS = 2
sys.exit(__main__.main(sys.argv[1:]))
"""


class Host:
    """A namespace with an address on `mgmt0`, and a folder as `run_dir`."""

    def __init__(self, folder: Path) -> None:
        self.name = f"spt-{os.getpid()}-l"
        self.folder = folder
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "add", "mgmt0", "type", "veth", "peer", "name", "far0")
        run("ip", "-n", self.name, "addr", "add", "10.0.0.1/8", "dev", "mgmt0")

    def opener(self, *arguments: str, ssh: str = "") -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": os.environ["PATH"], **({"SSH_CONNECTION": ssh} if ssh else {})}
        return subprocess.run(
            ["ip", "netns", "exec", self.name, sys.executable, "-c", _SHORT_TRIAL, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def load(self, port: int, *arguments: str, ssh: str = "") -> "subprocess.CompletedProcess[str]":
        wanted = self.folder / "opener.json.new"
        wanted.write_text(json.dumps({**json.loads(CONFIG_TEXT), "knock_ports": [port]}))
        installs = ("--installs", str(self.folder / "opener.json"))
        return self.opener("load", "--config", str(wanted), *installs, *arguments, ssh=ssh)

    def rules(self) -> str:
        return run("ip", "netns", "exec", self.name, "nft", "list", "ruleset")

    def wait_until(self, port: int | None) -> None:
        end = time.monotonic() + 20
        while (f"udp dport {port} " not in self.rules()) if port else bool(self.rules()):
            assert time.monotonic() < end, self.rules()
            time.sleep(0.1)

    def installed_port(self) -> int:
        return int(json.loads((self.folder / "opener.json").read_text())["knock_ports"][0])


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    run("ip", "netns", "del", host.name)


def test_what_is_loaded_for_good_stays_and_its_configuration_with_it(host: Host) -> None:
    assert host.load(62_201).returncode == 0
    assert host.load(62_202).returncode == 0
    time.sleep(2.5)
    assert "62202" in host.rules()
    assert host.installed_port() == 62_202


def test_an_unconfirmed_trial_brings_back_rules_and_configuration_but_no_revoked_device(host: Host) -> None:
    assert host.load(62_201).returncode == 0
    assert host.load(62_202, "--on-trial").returncode == 0
    host.wait_until(62_202)
    run("ip", "netns", "exec", host.name, "nft", "add", "element", "inet", "sallyport", "revoked", "{ 9 }")
    host.wait_until(62_201)
    assert "0x00000009" in host.rules()
    assert "62202" not in host.rules()
    assert host.installed_port() == 62_201


def test_a_confirmed_trial_stays(host: Host) -> None:
    assert host.load(62_201).returncode == 0
    assert host.load(62_202, "--on-trial").returncode == 0
    config = str(host.folder / "opener.json")
    assert host.opener("confirm", "--config", config).returncode == 0
    assert host.opener("confirm", "--config", config).returncode == 1
    time.sleep(3)
    assert "62202" in host.rules()


def test_a_first_trial_that_is_not_confirmed_leaves_no_table(host: Host) -> None:
    assert host.load(62_201, "--on-trial").returncode == 0
    assert host.rules()
    host.wait_until(None)


def test_a_later_load_takes_the_place_of_a_trial(host: Host) -> None:
    assert host.load(62_201).returncode == 0
    assert host.load(62_202, "--on-trial").returncode == 0
    assert host.load(62_203).returncode == 0
    time.sleep(3)
    assert "62203" in host.rules()


@pytest.mark.parametrize(
    ("ssh", "loaded"),
    [
        ("192.0.2.5 50000 10.0.0.1 22", False),
        ("10.2.3.4 50000 10.0.0.1 22", False),
        ("10.2.3.4 50000 10.0.0.1 8443", True),
        ("192.0.2.5 50000 203.0.113.77 22", True),  # comes in through another namespace
    ],
)
def test_rules_that_lock_out_the_session_they_are_loaded_from_are_not_loaded(
    host: Host, ssh: str, *, loaded: bool
) -> None:
    done = host.load(62_201, ssh=ssh)
    assert (done.returncode == 0) is loaded, done.stderr
    assert bool(host.rules()) is loaded
    assert (host.folder / "opener.json").exists() is loaded


def test_rules_that_nft_refuses_change_nothing(host: Host) -> None:
    assert host.load(62_201).returncode == 0
    before = host.rules()
    done = host.opener("load", "--config", str(host.folder / "absent.json"))
    assert done.returncode == 1
    assert host.rules() == before
