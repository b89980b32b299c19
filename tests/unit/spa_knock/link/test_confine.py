"""The filter on real processes: what serving takes works, the rest fails or kills."""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spa_knock.link.confine import MACHINES, Confinement, Rule, seccomp_program
from spa_knock.link.socket_filter import MAX_INSTRUCTIONS

ROOT = Path(__file__).parents[4]
pytestmark = pytest.mark.skipif(platform.machine() not in MACHINES, reason="no filter for this kind of machine")

_SET_UP = """
import ctypes, mmap, os, signal, socket, sys, time, traceback
from spa_knock.link.confine import Confinement, Rule, confine, keep_only
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
keep_only(())
assert confine(Confinement(
    calls={"connect"},
    rules={"socket": Rule(0, equals=socket.AF_UNIX), "sendto": Rule(4, equals=0), "ioctl": Rule(1, equals=0x5421)},
))
def refused(act):
    try:
        act()
    except PermissionError:
        return
    sys.exit("it was not refused")
"""


def confined(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", _SET_UP + code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "act",
    [
        "open('/etc/hostname')",
        "open('/dev/null', 'w')",
        "os.listdir('/')",
        "socket.socket(socket.AF_INET)",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "udp.sendto(b'x', ('127.0.0.1', 9))",
        "udp.sendmsg([b'x'], [], 0, ('127.0.0.1', 9))",
        "os.fork()",
        "os.kill(os.getppid(), 0)",
        "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
        "os.setuid(0)",
        "os.unlink('/nonexistent')",
        "os.mkdir('/tmp/never')",
        "os.chdir('/')",
        "udp.bind(('127.0.0.1', 0))",
    ],
)
def test_what_serving_does_not_take_is_refused(act: str) -> None:
    finished = confined(f"refused(lambda: {act})\nprint('lived')")
    assert (finished.returncode, finished.stdout) == (0, "lived\n"), finished.stderr


@pytest.mark.parametrize(
    "act",
    [
        "os.execv('/bin/true', ['true'])",
        "ctypes.CDLL(None).ptrace(0, 0, 0, 0)",
        "ctypes.CDLL(None).process_vm_readv(os.getpid(), None, 0, None, 0, 0)",
    ],
)
def test_starting_a_program_or_reaching_into_a_process_kills(act: str) -> None:
    assert confined(f"{act}\nprint('lived')").returncode == -signal.SIGSYS


def test_serving_itself_works() -> None:
    finished = confined(
        "one = socket.socket(socket.AF_UNIX)\n"
        "one.setblocking(False)\n"
        "try: one.connect('/nonexistent')\n"
        "except OSError: pass\n"
        "one.close()\n"
        "udp.settimeout(0.01)\n"
        "try: udp.recv(10)\n"
        "except TimeoutError: pass\n"
        "time.sleep(0.001); os.urandom(8); bytearray(1 << 22)\n"
        "traceback.format_stack()\n"
        "print('served', file=sys.stderr)\n"
    )
    assert (finished.returncode, finished.stderr) == (0, "served\n")


def test_a_capability_that_is_not_held_stops_the_start() -> None:
    code = "from spa_knock.link.confine import keep_only\nkeep_only(())\nkeep_only((12,))"
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "was not given to it" in finished.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="has capabilities to give up only as root")
def test_all_but_the_named_capability_are_given_up() -> None:
    code = "from spa_knock.link.confine import keep_only\nkeep_only((12,))\nprint(open('/proc/self/status').read())"
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    fields = dict(line.split(":\t") for line in finished.stdout.splitlines() if line.startswith("Cap"))
    assert (fields["CapEff"], fields["CapPrm"], fields["CapInh"]) == (f"{1 << 12:016x}", f"{1 << 12:016x}", "0" * 16)


@pytest.mark.parametrize("machine", list(MACHINES))
def test_the_filter_fits_on_every_known_machine(machine: str) -> None:
    program = seccomp_program(MACHINES[machine], Confinement(rules={"sendto": Rule(4, equals=0)}))
    assert len(program) <= MAX_INSTRUCTIONS
    assert len(set(MACHINES[machine].calls.values())) == len(MACHINES[machine].calls)
