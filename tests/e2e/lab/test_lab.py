import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.demo import netns
from deploy.demo.lab import (
    BROKER,
    BROKER_CONSOLE_ADDRESS,
    BROKER_PLANT_ADDRESS,
    BROKER_VENDOR_ADDRESS,
    CONSOLE_PORT,
    HOSTS,
    OFFICE,
    OFFICE_ADDRESS,
    PLANT,
    PLANT_ADDRESS,
    ROUTER,
    RUNS_DIR,
    VENDOR,
    VENDOR_ADDRESS,
    Lab,
    LabError,
    namespaces_of,
    reap,
)
from deploy.demo.room import CHECKOUT

pytestmark = pytest.mark.netns

_LISTEN = """
import socket, sys
address, port = sys.argv[1], int(sys.argv[2])
server = socket.create_server((address, port))
print("listening", flush=True)
while True:
    server.accept()[0].close()
"""
_LAB = """
import sys, time
from pathlib import Path
from deploy.demo.lab import Lab
with Lab(Path(sys.argv[1])) as lab:
    lab.popen("plant", ["sleep", "100"])
    print(lab.id, flush=True)
    time.sleep(60)
"""
_OPEN, _REFUSED, _NOTHING = "open", "refused", "nothing"


def _listen(lab: Lab, host: str, address: str, port: int) -> None:
    process = lab.popen(host, [sys.executable, "-c", _LISTEN, address, str(port)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "listening\n"


def _reach(lab: Lab, host: str, address: str, port: int) -> str:
    try:
        netns.connect(lab.namespace(host), address, port, 0.4).close()
    except ConnectionRefusedError:
        return _REFUSED
    except OSError:
        return _NOTHING
    return _OPEN


def _host_network() -> Sequence[str]:
    listing = [["ip", "-br", "link"], ["ip", "route"], ["nft", "list", "ruleset"], ["sysctl", "net.ipv4.ip_forward"]]
    return [subprocess.run(argv, capture_output=True, text=True, check=True).stdout for argv in listing]


def test_each_host_reaches_exactly_what_the_plan_allows(lab: Lab) -> None:
    _listen(lab, BROKER, BROKER_VENDOR_ADDRESS, 4430)
    _listen(lab, BROKER, BROKER_CONSOLE_ADDRESS, CONSOLE_PORT)
    _listen(lab, BROKER, BROKER_PLANT_ADDRESS, 4430)
    _listen(lab, PLANT, PLANT_ADDRESS, 2222)
    _listen(lab, VENDOR, VENDOR_ADDRESS, 8000)
    reached = {
        (host, address): _reach(lab, host, address, port)
        for host in (VENDOR, OFFICE, PLANT)
        for address, port in (
            (BROKER_VENDOR_ADDRESS, 4430),
            (BROKER_CONSOLE_ADDRESS, CONSOLE_PORT),
            (BROKER_PLANT_ADDRESS, 4430),
            (PLANT_ADDRESS, 2222),
            (OFFICE_ADDRESS, 2222),
        )
    }
    local = {(PLANT, PLANT_ADDRESS): _OPEN, (OFFICE, OFFICE_ADDRESS): _REFUSED}
    allowed = {(VENDOR, BROKER_VENDOR_ADDRESS): _OPEN, (OFFICE, BROKER_CONSOLE_ADDRESS): _OPEN}
    assert reached == {pair: {**local, **allowed}.get(pair, _NOTHING) for pair in reached}
    assert _reach(lab, BROKER, VENDOR_ADDRESS, 8000) == _OPEN
    assert _reach(lab, BROKER, PLANT_ADDRESS, 22) in {_OPEN, _REFUSED}
    assert _reach(lab, BROKER, PLANT_ADDRESS, 2222) == _NOTHING


def test_the_broker_forwards_nothing_and_has_no_ipv6_on_its_links(lab: Lab) -> None:
    assert lab.run(BROKER, ["sysctl", "-n", "net.ipv4.ip_forward"]).stdout.strip() == "0"
    assert lab.run(ROUTER, ["sysctl", "-n", "net.ipv4.ip_forward"]).stdout.strip() == "1"
    assert lab.run(BROKER, ["ip", "-6", "-br", "addr", "show", "dev", "out0"]).stdout == ""


def test_every_name_carries_the_run_id(lab: Lab) -> None:
    assert namespaces_of(lab.id) == sorted(f"sp-{lab.id}-{host}" for host in HOSTS)
    assert lab.id in str(lab.dir)


def test_a_failing_command_says_which_and_why(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"ls /no-such-path.*exit status 2.*No such file"):
        lab.run(VENDOR, ["ls", "/no-such-path"])
    with pytest.raises(LabError, match=r"not done after 0.1 s"):
        lab.run(VENDOR, ["sleep", "5"], timeout_seconds=0.1)
    with pytest.raises(LabError, match="no such host"):
        lab.run("moon", ["true"])


def test_an_exception_takes_everything_down_and_the_hosts_own_network_is_as_before() -> None:
    before = _host_network()
    with pytest.raises(ZeroDivisionError), Lab() as short:
        stubborn = short.popen(PLANT, ["sh", "-c", "trap '' TERM; sleep 100 & while :; do wait; done"])
        assert _host_network() == before
        _ = 1 // 0
    assert stubborn.poll() is not None
    assert namespaces_of(short.id) == []
    assert not short.dir.exists()
    assert _host_network() == before


def _start_lab_process(runs_dir: Path = RUNS_DIR) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _LAB, str(runs_dir)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    process.stdout.close()
    return process, run_id


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_takes_everything_down(number: signal.Signals) -> None:
    process, run_id = _start_lab_process()
    assert len(namespaces_of(run_id)) == len(HOSTS)
    process.send_signal(number)
    process.wait(15)
    assert namespaces_of(run_id) == []


def _is_gone(pid: int) -> bool:
    """Dead; a zombie counts, because who reaps orphans is the machine's business."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _pids_in(lab: Lab, namespace: str) -> list[str]:
    """The processes in a namespace; one that was just started may still be on its way there."""
    until = time.monotonic() + 10
    while not (found := lab.run(VENDOR, ["ip", "netns", "pids", namespace]).stdout.split()):
        assert time.monotonic() < until, f"nothing runs in {namespace}"
        time.sleep(0.02)
    return found


def test_the_next_start_removes_what_a_killed_run_left_and_leaves_a_living_run_alone(lab: Lab, tmp_path: Path) -> None:
    # A folder of its own: another laboratory that starts meanwhile would remove the leftover first.
    process, run_id = _start_lab_process(tmp_path)
    process.kill()
    process.wait(5)
    assert len(namespaces_of(run_id)) == len(HOSTS)
    (left,) = _pids_in(lab, f"sp-{run_id}-plant")
    with Lab(tmp_path) as living:
        assert reap(tmp_path) == []
        assert len(namespaces_of(living.id)) == len(HOSTS)
    assert namespaces_of(run_id) == []
    assert _is_gone(int(left))


def test_a_reused_process_id_does_not_pass_for_the_owner(tmp_path: Path) -> None:
    stale = tmp_path / "0dd5ea"
    stale.mkdir()
    (stale / "owner.json").write_text(json.dumps({"pid": os.getpid(), "started_ticks": 1}))
    assert reap(tmp_path) == ["0dd5ea"]
    assert not stale.exists()


def test_parallel_laboratories_do_not_meet(lab: Lab) -> None:
    with Lab() as other:
        assert other.id != lab.id
        _listen(other, VENDOR, VENDOR_ADDRESS, 8123)
        assert _reach(other, BROKER, VENDOR_ADDRESS, 8123) == _OPEN
        assert _reach(lab, BROKER, VENDOR_ADDRESS, 8123) == _REFUSED
