"""The laboratory: five network namespaces joined by veth pairs, and the processes inside them.

Nothing of the host's own network is touched: every link is created between two namespaces, sysctls and firewall rules
are set only inside, and every name carries the run's id. What a dead run left behind is removed when the next starts.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

from deploy.demo import netns

RUNS_DIR = Path("/run/sallyport-demo")
VENDOR, BROKER, PLANT, OFFICE, ROUTER = "vendor", "broker", "plant", "office", "router"
HOSTS = (VENDOR, BROKER, PLANT, OFFICE, ROUTER)

VENDOR_ADDRESS = "198.51.100.10"
BROKER_VENDOR_ADDRESS = "203.0.113.10"
BROKER_CONSOLE_ADDRESS = "10.20.0.10"
BROKER_PLANT_ADDRESS = "10.40.0.10"
PLANT_ADDRESS = "10.50.0.20"
OFFICE_ADDRESS = "10.30.0.10"
CONSOLE_PORT = 8443

_STOP_SECONDS = 5.0
_NAME = re.compile(r"sp-[0-9a-f]{6}-[a-z]+")


@dataclass(frozen=True)
class Leg:
    """One veth pair between a host and the router; `routes` are what the host reaches through this leg."""

    host: str
    interface: str
    address: str
    router_interface: str
    router_address: str
    routes: tuple[str, ...]


LEGS = (
    Leg(VENDOR, "eth0", f"{VENDOR_ADDRESS}/24", "vendor0", "198.51.100.1", ("default",)),
    Leg(BROKER, "out0", f"{BROKER_VENDOR_ADDRESS}/24", "out0", "203.0.113.1", ("default",)),
    Leg(BROKER, "mgmt0", f"{BROKER_CONSOLE_ADDRESS}/24", "mgmt0", "10.20.0.1", ("10.30.0.0/24",)),
    Leg(BROKER, "plant0", f"{BROKER_PLANT_ADDRESS}/24", "cell0", "10.40.0.1", ("10.50.0.0/24",)),
    Leg(PLANT, "eth0", f"{PLANT_ADDRESS}/24", "plant0", "10.50.0.1", ("default",)),
    Leg(OFFICE, "eth0", f"{OFFICE_ADDRESS}/24", "office0", "10.30.0.1", ("default",)),
)

# The router is the plant's and the provider's equipment between the parties: it decides who may reach which leg of the
# broker. It leaves the vendor's packets to the broker alone, so that the broker's own door is what a scan meets.
PLANT_BY_HAND = f'iifname "cell0" oifname "plant0" ip saddr {BROKER_PLANT_ADDRESS} tcp dport 22 accept'


def router_rules(plant: str) -> str:
    """The router's own rules for `nft -f`, again and again; `plant` decides what may go into and out of the plant."""
    return f"""
table inet router
delete table inet router
table inet router {{
  chain onward {{
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    iifname "vendor0" oifname "out0" accept
    iifname "out0" oifname "vendor0" accept
    iifname "office0" oifname "mgmt0" ip daddr {BROKER_CONSOLE_ADDRESS} tcp dport {CONSOLE_PORT} accept
    {plant}
    drop
  }}
  chain inward {{
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    icmp type echo-request accept
  }}
}}
"""


class LabError(RuntimeError):
    """The laboratory could not be built, or a command inside it failed."""


class Stopped(SystemExit):
    """SIGTERM or SIGHUP arrived: unwinds the stack so that everything is taken down."""


class Lab:
    """The running laboratory; a context manager whose exit leaves nothing behind.

    Args:
        runs_dir: where the directories of runs stand; the default suits everybody but tests.
    """

    def __init__(self, runs_dir: Path = RUNS_DIR) -> None:
        self.id = secrets.token_hex(3)
        self.dir = runs_dir / self.id
        self._runs_dir = runs_dir
        self._children: list[subprocess.Popen[str]] = []
        self._before_close = ExitStack()
        self._old_handlers: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        _check_tools()
        self._runs_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        reap(self._runs_dir)
        self._catch_signals()
        try:
            _claim(self.dir)
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def name(self, host: str) -> str:
        """The network namespace's name of one of `HOSTS`."""
        if host not in HOSTS:
            raise LabError(f"no such host in the laboratory: {host}")
        return f"sp-{self.id}-{host}"

    def namespace(self, host: str) -> Path:
        """The bound file of a host's network namespace."""
        return netns.NAMES_DIR / self.name(host)

    def argv(self, host: str, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` inside a host."""
        return ["ip", "netns", "exec", self.name(host), *argv]

    def run(
        self,
        host: str,
        argv: Sequence[str],
        *,
        timeout_seconds: float = 30.0,
        check: bool = True,
        text: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside a host and wait for it.

        Args:
            timeout_seconds: after this the command is killed.
            check: raise when the exit status is not 0.
            text: standard input; none means an empty one.
            env: the whole environment; none means this process's own.

        Raises:
            LabError: the command failed (with its error output) or took too long.
        """
        return _run(self.argv(host, argv), timeout_seconds=timeout_seconds, check=check, text=text, env=env)

    def popen(
        self,
        host: str,
        argv: Sequence[str],
        *,
        stdin: int | IO[str] = subprocess.DEVNULL,
        stdout: int | IO[str] = subprocess.DEVNULL,
        stderr: int | IO[str] = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a process inside a host, in its own session; `close` ends it."""
        return self.adopt(
            subprocess.Popen(
                self.argv(host, argv),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                text=True,
                env=None if env is None else dict(env),
                start_new_session=True,
            )
        )

    def adopt(self, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        """Let `close` end a process that was started elsewhere."""
        self._children.append(process)
        return process

    def before_close(self, stop: Callable[[], object]) -> None:
        """Call `stop` first when the laboratory closes, latest first: for an orderly end of what runs inside."""
        self._before_close.callback(stop)

    def close(self) -> None:
        """End every process of this run, delete its namespaces and its directory; may be called twice."""
        for number in self._old_handlers:
            signal.signal(number, signal.SIG_IGN)
        try:
            self._before_close.close()
        finally:
            _stop_all(self._children)
            self._children.clear()
            _remove(self.dir)
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
            self._old_handlers.clear()

    def _build(self) -> None:
        for host in HOSTS:
            _run(["ip", "netns", "add", self.name(host)])
            # Links made after this have no IPv6: the laboratory's addresses are IPv4 only, and silence is measured.
            self.run(host, ["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"])
        self.run(BROKER, ["sysctl", "-qw", "net.ipv4.ip_forward=0"])
        for leg in LEGS:
            far = ["peer", "name", leg.router_interface, "netns", self.name(ROUTER)]
            _run(["ip", "link", "add", "name", leg.interface, "netns", self.name(leg.host), "type", "veth", *far])
        for host in HOSTS:
            _run(["ip", "-n", self.name(host), "-batch", "-"], text="\n".join(_address_commands(host)) + "\n")
        self.run(ROUTER, ["nft", "-f", "-"], text=router_rules(PLANT_BY_HAND))
        self.run(ROUTER, ["sysctl", "-qw", "net.ipv4.ip_forward=1"])

    def _catch_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._old_handlers[number] = signal.signal(number, _on_signal)
        self._old_handlers[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)


def reap(runs_dir: Path = RUNS_DIR) -> list[str]:
    """Remove what runs left behind whose owner process is gone; returns their ids."""
    reaped = []
    for run_dir in sorted(runs_dir.iterdir()) if runs_dir.is_dir() else []:
        if not _owner_lives(run_dir):
            _remove(run_dir)
            reaped.append(run_dir.name)
    return reaped


def namespaces_of(run_id: str) -> list[str]:
    """The names of a run's network namespaces that exist now."""
    names = [entry.name for entry in netns.NAMES_DIR.glob(f"sp-{run_id}-*")] if netns.NAMES_DIR.is_dir() else []
    return sorted(name for name in names if _NAME.fullmatch(name))


def _address_commands(host: str) -> Iterable[str]:
    yield "link set lo up"
    for leg in LEGS:
        if leg.host == host:
            yield f"address add {leg.address} dev {leg.interface}"
            yield f"link set {leg.interface} up"
            yield from (f"route add {route} via {leg.router_address}" for route in leg.routes)
        elif host == ROUTER:
            yield f"address add {leg.router_address}/24 dev {leg.router_interface}"
            yield f"link set {leg.router_interface} up"


def _on_signal(number: int, _frame: FrameType | None) -> None:
    raise Stopped(128 + number)


def _check_tools() -> None:
    if os.geteuid() != 0:
        raise LabError("the laboratory makes network namespaces: run it as root")
    missing = [tool for tool in ("ip", "nft", "sysctl", "unshare", "nsenter", "mount") if shutil.which(tool) is None]
    if missing:
        raise LabError(f"these programs are needed and were not found: {', '.join(missing)}")


def _started_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: with the pid it names one process for ever (proc(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _claim(run_dir: Path) -> None:
    """Make the run's directory, its owner note already inside: no other start may take it for a leftover."""
    making = run_dir.with_name(f".{run_dir.name}.{os.getpid()}")
    making.mkdir(mode=0o755)
    owner = {"pid": os.getpid(), "started_ticks": _started_ticks(os.getpid())}
    (making / "owner.json").write_text(json.dumps(owner), encoding="utf-8")
    making.rename(run_dir)


def _owner_lives(run_dir: Path) -> bool:
    if run_dir.name.startswith("."):
        return _started_ticks(int(run_dir.suffix[1:])) is not None
    try:
        owner = json.loads((run_dir / "owner.json").read_text(encoding="utf-8"))
        return bool(_started_ticks(int(owner["pid"])) == int(owner["started_ticks"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _remove(run_dir: Path) -> None:
    """Kill what still runs in a run's namespaces, delete them, then its directory (last: it is the reaper's index)."""
    names = namespaces_of(run_dir.name)
    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline:
        pids = [int(pid) for name in names for pid in _run(["ip", "netns", "pids", name]).stdout.split()]
        if not pids:
            break
        for pid in pids:
            if pid != os.getpid():
                _kill(pid)
        time.sleep(0.02)
    for name in names:
        _run(["ip", "netns", "delete", name], check=False)
    shutil.rmtree(run_dir, ignore_errors=True)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _stop_all(children: Sequence[subprocess.Popen[str]]) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                stream.close()


def _run(
    argv: Sequence[str],
    *,
    timeout_seconds: float = 30.0,
    check: bool = True,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            argv,
            input=text or "",
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env=None if env is None else dict(env),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(argv)}: not done after {timeout_seconds:g} s") from error
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: exit status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done
