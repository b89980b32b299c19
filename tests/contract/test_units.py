"""The systemd units: systemd's own checker, agreement with the supervisor, their filters around the real processes."""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from broker.app import plans, units
from broker.app import settings as settings_
from broker.app.layout import Layout

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs the package systemd")
needs_root = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nftables")

_SERVICES = ("opener", "control", "gateway", "guard", "archive", "rules")
_MOST_EXPOSURE = {"opener": 1.4, "control": 1.4, "gateway": 1.5, "guard": 1.1, "archive": 1.4, "rules": 1.7}
"""What `systemd-analyze security --offline=true` of systemd 252 says; docs/operations.md has the same figures."""

_SETTINGS = """
[site]
name = "demo"
state_dir = "{folder}/state"
run_dir = "{folder}/run"
[vendor_face]
host = "127.0.0.1"
interface = "out0"
tls_port = 14430
ssh_port = 12200
knock_ports = [16220]
[plant_face]
host = "127.0.0.1"
interface = "mgmt0"
port = 18443
networks = ["10.30.0.0/24"]
[object_store]
endpoint = "https://127.0.0.1:14440"
bucket = "recordings"
access_key_id = "AKEXAMPLE"
secret_file = "{folder}/secret"
"""

_UP = """
import dataclasses, sys
from pathlib import Path
from broker.app import supervisor
from broker.app.settings import load
confine, filters, config = sys.argv[1:]
real = supervisor.programs
def confined(*arguments):
    return tuple(
        dataclasses.replace(one, argv=(sys.executable, confine, f"{filters}/{one.name}.json", *one.argv))
        for one in real(*arguments)
    )
supervisor.programs = confined
sys.exit(supervisor.up(load(Path(config)), Path(config)))
"""

_TRIES = """
import ctypes, errno, mmap, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def told(function, *arguments, **named):
    try:
        function(*arguments, **named)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "fine"
print(told(os.chown, ".", 1, 1), told(os.setresuid, 1, 1, 1), told(socket.socket, socket.AF_INET))
print(told(mmap.mmap, -1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC), told(socket.socket, socket.AF_UNIX))
"""


class _Unit:
    """A unit file: every value of each `Section.Name`, in order."""

    def __init__(self, path: Path) -> None:
        self.values_of: dict[str, list[str]] = {}
        section = ""
        for line in path.read_text().splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif "=" in line and not line.startswith("#"):
                name, _, value = line.partition("=")
                self.values_of.setdefault(f"{section}.{name}", []).append(value)

    def one(self, name: str) -> str:
        """The only value of `Section.Name`."""
        (value,) = self.values_of[name]
        return value


def _unit(name: str) -> _Unit:
    return _Unit(units.packaged() / "system" / name)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as `sallyport units` writes them, in a folder, with programs that exist."""
    (tmp_path / "site.toml").write_text(_SETTINGS.format(folder=tmp_path).replace(f"{tmp_path}/run", "/run/sallyport"))
    read = settings_.load(tmp_path / "site.toml")
    programs = Path(sys.executable).parent
    for name, content in units.rendered(read, tmp_path / "site.toml", programs).items():
        path = tmp_path / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "etc" / "systemd" / "system"


def _analyze(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        cwd=folder,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_COLORS": "0", "SYSTEMD_EMOJI": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_systemd_finds_nothing_to_say_about_the_units(installed: Path) -> None:
    files = sorted(str(path) for path in installed.iterdir() if path.is_file())
    done = _analyze(installed, "verify", *files)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_host_with_every_unit_enabled_starts_without_a_cycle(installed: Path) -> None:
    # What other firewalls look like to systemd: one that starts early, one that starts like any service.
    early = "DefaultDependencies=no\nBefore=network-pre.target\n"
    for name, head in {"nftables": early, "ufw": early, "firewalld": "Before=network-pre.target\n"}.items():
        text = f"[Unit]\n{head}[Service]\nType=oneshot\nExecStart=/bin/true\n"
        (installed / f"{name}.service").write_text(text)
    wanted = [path.name for path in installed.glob("*.service")]
    enabled = {"multi-user.target": ["sallyport.target"], "sysinit.target": ["sallyport-rules.service"]}
    for target, names in {**enabled, "sallyport.target": wanted}.items():
        (installed / f"{target}.wants").mkdir()
        for name in names:
            (installed / f"{target}.wants" / name).symlink_to(installed / name)
    done = _analyze(installed, "verify", "multi-user.target")
    assert "cycle" not in done.stdout + done.stderr
    assert "sallyport" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", _SERVICES)
def test_a_service_is_no_more_exposed_than_the_documentation_says(installed: Path, name: str) -> None:
    done = _analyze(installed, "security", "--offline=true", f"./sallyport-{name}.service")
    found = re.search(r"Overall exposure level for sallyport-\w+\.service: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found.group(1)) <= _MOST_EXPOSURE[name]
    documented = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    assert re.search(rf"\| `sallyport-{name}` .*\| {_MOST_EXPOSURE[name]} \|", documented)


@needs_root
def test_units_and_supervisor_agree_on_programs_users_and_sockets(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(_SETTINGS.format(folder=tmp_path))
    read = settings_.load(tmp_path / "site.toml")
    layout = Layout.of(read)
    layout.run.mkdir()
    supervised = plans.programs(read, Path("/etc/sallyport/sallyport.toml"), layout)
    try:
        for program in supervised:
            service = _unit(f"sallyport-{program.name}.service")
            plain = " ".join(program.argv).replace(str(layout.state), "/var/lib/sallyport")
            plain = plain.replace(str(layout.run), "/run/sallyport")
            assert service.one("Service.ExecStart") == plain.replace(sys.executable, "/opt/sallyport/bin/python -I", 1)
            assert service.one("Service.User") == service.one("Service.Group") == f"sallyport-{program.name}"
            wanted = " ".join(f"CAP_{name.upper()}" for name in program.capabilities)
            assert service.one("Service.CapabilityBoundingSet") == service.one("Service.AmbientCapabilities") == wanted
            names = service.one("Service.Sockets").split()
            assert _described(names, program.name) == {_described_socket(*passed) for passed in program.sockets}
    finally:
        for program in supervised:
            for _, sock in program.sockets:
                sock.close()


def _described(names: list[str], service: str) -> set[tuple[str, str, str]]:
    described = set()
    for name in names:
        unit = _unit(name)
        assert unit.one("Socket.Service") == f"sallyport-{service}.service"
        (listen,) = [value for key, value in unit.values_of.items() if key.startswith("Socket.Listen")]
        owner = unit.values_of.get("Socket.SocketUser", [""])[0].removeprefix("sallyport-")
        where = Path(listen[0]).name if owner else listen[0].partition(":")[0]
        described.add((unit.one("Socket.FileDescriptorName"), where, owner))
    return described


def _described_socket(name: str, sock: socket.socket) -> tuple[str, str, str]:
    if sock.family != socket.AF_UNIX:
        return name, "192.0.2.1", ""
    path = Path(sock.getsockname())
    assert path.stat().st_mode & 0o777 == 0o600
    owners = {0: "root", 61184: "opener", 61185: "guard", 61186: "gateway", 61187: "control", 61188: "archive"}
    return name, path.name, owners[path.stat().st_uid]


def test_every_unix_socket_is_for_its_peer_alone_and_every_face_waits_for_the_rules() -> None:
    for path in (units.packaged() / "system").glob("*.socket"):
        unit = _Unit(path)
        assert unit.one("Unit.Requires") == unit.one("Unit.After") == "sallyport-rules.service"
        if "Socket.SocketUser" in unit.values_of:
            assert unit.one("Socket.SocketMode") == "0600"


def _calls(groups: list[str]) -> list[str]:
    """The system calls that these SystemCallFilter= lines leave."""

    def expanded(name: str) -> set[str]:
        if not name.startswith("@"):
            return {name}
        text = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
        lines = [line.strip() for line in text.stdout.splitlines()[1:]]
        return set().union(*(expanded(line) for line in lines if line and not line.startswith("#")))

    left = expanded("@default")
    for line in groups:
        for name in line.removeprefix("~").split():
            left = left - (expanded(name) - expanded("@default")) if line.startswith("~") else left | expanded(name)
    return sorted(left)


def _filter(name: str) -> dict[str, object]:
    unit = _unit(f"sallyport-{name}.service")
    assert unit.one("Service.MemoryDenyWriteExecute") == "yes"
    assert unit.one("Service.SystemCallErrorNumber") == "EPERM"
    families = [int(getattr(socket, family)) for family in unit.one("Service.RestrictAddressFamilies").split()]
    umask = int(unit.one("Service.UMask"), 8)
    return {"calls": _calls(unit.values_of["Service.SystemCallFilter"]), "families": families, "umask": umask}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A new site's folder that every user id can reach, its namespace, and the filters of its units."""
    folder = Path(tempfile.mkdtemp(prefix="sp-units-"))
    folder.chmod(0o755)
    namespace = folder.name
    try:
        subprocess.run(["ip", "netns", "add", namespace], check=True)
        subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
        (folder / "site.toml").write_text(_SETTINGS.format(folder=folder))
        (folder / "secret").write_text("a-secret-only-of-this-test")
        os.chown(folder / "secret", 61188, 61188)
        (folder / "secret").chmod(0o600)
        shutil.copy(Path(__file__).parent / "confine.py", folder / "confine.py")
        for name in _SERVICES:
            (folder / f"{name}.json").write_text(json.dumps(_filter(name)))
        command = [Path(sys.executable).parent / "sallyport", "init", "--config", folder / "site.toml"]
        subprocess.run(command, check=True, cwd="/", capture_output=True, timeout=60)
        yield folder
    finally:
        subprocess.run(["ip", "netns", "del", namespace], check=False)
        shutil.rmtree(folder)


def test_the_filter_of_these_tests_bites(tmp_path: Path) -> None:
    (tmp_path / "guard.json").write_text(json.dumps(_filter("guard")))
    command = [sys.executable, Path(__file__).parent / "confine.py", tmp_path / "guard.json"]
    done = subprocess.run([*command, sys.executable, "-c", _TRIES], capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["EPERM", "EPERM", "EAFNOSUPPORT", "EPERM", "fine"], done.stderr


@needs_root
@pytest.mark.netns
def test_every_process_serves_inside_the_filter_of_its_unit(site: Path) -> None:
    inside = ["ip", "netns", "exec", site.name]
    with (site / "log").open("w") as log:
        running = subprocess.Popen(
            [*inside, sys.executable, "-P", "-c", _UP, site / "confine.py", site, site / "site.toml"],
            cwd="/",
            stderr=log,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    try:
        limit = time.monotonic() + 60
        ask = f"import runpy, sys; sys.argv = ['x', {str(site)!r}]; runpy.run_path({__file__!r})['_print_readiness']()"
        answer = ""
        while '"ready":true' not in answer.replace(" ", ""):
            words = (site / "log").read_text()
            assert running.poll() is None, words
            assert time.monotonic() < limit, words + answer
            time.sleep(0.2)
            answer = subprocess.run([*inside, sys.executable, "-c", ask], capture_output=True, text=True).stdout
        while "archive_refused" not in (site / "log").read_text():  # nothing is where its store should be
            assert time.monotonic() < limit, (site / "log").read_text()
            time.sleep(0.2)
    finally:
        running.terminate()
        running.wait(30)
    about_the_store = ("archive_refused", "object_store_fails")
    lines = (site / "log").read_text().splitlines()
    words = "\n".join(line for line in lines if not any(event in line for event in about_the_store))
    assert "ended" not in words, words
    assert "rror" not in words, words


def _print_readiness() -> None:
    """What the console says of its parts; runs inside the namespace."""
    context = ssl.create_default_context(cafile=Path(sys.argv[1]) / "state" / "public" / "site-root.pem")
    try:
        with closing(http.client.HTTPSConnection("127.0.0.1", 18443, context=context, timeout=5)) as connection:
            connection.request("GET", "/readyz")
            print(connection.getresponse().read().decode())
    except OSError as error:
        print(error)
