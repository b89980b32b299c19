"""Each user id of a running site tries the others' sockets, files, memory and verbs, and dials where it may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from broker.app.settings import UsersSection, load
from deploy.demo.lab import BROKER, PLANT_ADDRESS, VENDOR_ADDRESS
from tests.e2e.site.processes import MODULES
from tests.e2e.site.world import World

pytestmark = pytest.mark.netns

_USERS: Final = UsersSection()
_IDS: Final = {
    "opener": _USERS.opener,
    "guard": _USERS.guard,
    "gateway": _USERS.gateway,
    "control": _USERS.control,
    "archive": _USERS.archive,
    "stranger": 61999,
}
_MAY_CONNECT: Final = {
    "opener-guard.sock": "guard",
    "opener-gateway.sock": "gateway",
    "opener-control.sock": "control",
    "knock-link.sock": "guard",
    "knocks.sock": "guard",
    "authority.sock": "gateway",
    "vendor.sock": "gateway",
    "cut.sock": "root",
    "knock-status.sock": "root",
}
_MAY_READ: Final = {
    "control": {"control"},
    "gateway": {"gateway"},
    "guard": {"guard"},
    "archive": {"archive"},
    "recordings": {"gateway", "control"},
    "public": set(_IDS),
    "offline": set(),
    "witness": {"control"},
}
_OTHERS_VERBS: Final = {
    "guard": ({"type": "egress", "address": PLANT_ADDRESS, "port": 22, "seconds": 60}, {"type": "revoke", "mark": 1}),
    "gateway": (
        {"type": "open", "door": 1, "address": VENDOR_ADDRESS, "seconds": 8, "knock_id": "0" * 24},
        {"type": "egress", "address": PLANT_ADDRESS, "port": 22, "seconds": 60},
    ),
    "control": (
        {"type": "open", "door": 1, "address": VENDOR_ADDRESS, "seconds": 8, "knock_id": "0" * 24},
        {"type": "mark", "door": 2, "address": VENDOR_ADDRESS, "port": 1, "mark": 1},
    ),
}

# Runs as one of the ids, on the system's Python: says what it got.
_PROBE = r"""
import ctypes, json, os, socket, struct, sys
asked = json.loads(sys.stdin.read())
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
def tried(act):
    try:
        return act() or "done"
    except OSError as error:
        return error.strerror
def connect(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(5)
        one.connect(path)
def read(path):
    with open(path, "rb") as file:
        file.read(1)
def attach(pid):
    if libc.ptrace(16, pid, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    libc.ptrace(17, pid, 0, 0)
def vm_read(pid):
    class Piece(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    room = ctypes.create_string_buffer(8)
    here, there = Piece(ctypes.addressof(room), 8), Piece(0x400000, 8)
    if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def dial(address, port):
    with socket.socket() as one:
        one.settimeout(3)
        one.connect((address, port))
def ask(path, message):
    data = json.dumps({"v": 1, "id": "x", **message}).encode()
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(5)
        one.connect(path)
        one.sendall(struct.pack(">I", len(data)) + data)
        (length,) = struct.unpack(">I", one.recv(4))
        return json.loads(one.recv(length)).get("code", "done")
got = {
    "sockets": {path: tried(lambda: connect(path)) for path in asked["sockets"]},
    "files": {path: tried(lambda: read(path)) for path in asked["files"]},
    "mem": {str(pid): tried(lambda: read(f"/proc/{pid}/mem")) for pid in asked["pids"]},
    "environ": {str(pid): tried(lambda: read(f"/proc/{pid}/environ")) for pid in asked["pids"]},
    "descriptors": {str(pid): tried(lambda: os.listdir(f"/proc/{pid}/fd") and None) for pid in asked["pids"]},
    "ptrace": {str(pid): tried(lambda: attach(pid)) for pid in asked["pids"]},
    "vm_read": {str(pid): tried(lambda: vm_read(pid)) for pid in asked["pids"]},
    "dialled": {f"{address}:{port}": tried(lambda: dial(address, port)) for address, port in asked["dial"]},
    "verbs": [tried(lambda: ask(path, message)) for path, message in asked["verbs"]],
}
print(json.dumps(got))
"""


def _as(world: World, name: str, **asked: object) -> dict[str, dict[str, str]]:
    uid = str(_IDS[name])
    whole = {"sockets": [], "files": [], "pids": [], "dial": [], "verbs": [], **asked}
    person = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    argv = [*person, "--no-new-privs", "/usr/bin/python3", "-I", "-S", "-c", _PROBE]
    done = world.lab.run(BROKER, argv, text=json.dumps(whole), timeout_seconds=120)
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


def _run_dir(world: World) -> Path:
    return Path(load(world.site.config).site.run_dir)


def test_a_socket_is_for_its_one_peer(world: World) -> None:
    run = _run_dir(world)
    there = {path.name for path in run.iterdir() if path.is_socket()} - {"notify.sock"}
    assert there == set(_MAY_CONNECT), "every socket has its row here"
    for name in _IDS:
        got = _as(world, name, sockets=[str(run / one) for one in sorted(there)])["sockets"]
        connected = {Path(path).name for path, how in got.items() if how == "done"}
        assert connected == {one for one, peer in _MAY_CONNECT.items() if peer == name}, name


def test_a_file_of_the_state_is_for_its_process(world: World) -> None:
    state = Path(load(world.site.config).site.state_dir)
    files = [path for path in sorted(state.rglob("*")) if path.is_file()]
    assert {path.relative_to(state).parts[0] for path in files} <= set(_MAY_READ), "every folder has its row here"
    for name in _IDS:
        got = _as(world, name, files=[str(path) for path in files])["files"]
        for path in files:
            may = name in _MAY_READ[path.relative_to(state).parts[0]]
            if not may:
                assert got[str(path)] == "Permission denied", (name, path, got[str(path)])
        for folder in _MAY_READ:
            if name in _MAY_READ[folder] and folder != "witness":
                inside = [got[str(path)] for path in files if path.relative_to(state).parts[0] == folder]
                assert "done" in inside or not inside, (name, folder)


@pytest.mark.parametrize("name", [name for name in _IDS if name != "stranger"])
def test_nobody_reads_or_traces_a_process_not_even_its_own_user(world: World, name: str) -> None:
    pids = [world.processes.supervisor]
    for process in MODULES:
        pid = world.processes.pid(process)
        assert pid is not None
        pids.append(pid)
    got = _as(world, name, pids=pids)
    for what in ("mem", "environ", "descriptors", "ptrace", "vm_read"):
        refused = set(got[what].values())
        assert refused <= {"Permission denied", "Operation not permitted"}, (name, what, got[what])


@pytest.mark.parametrize("name", list(MODULES))  # this site has no archive, so that nobody runs under its id
def test_nobody_dials_the_plant_or_the_world(world: World, name: str) -> None:
    ways = [(PLANT_ADDRESS, 22), (VENDOR_ADDRESS, 22)]
    assert set(_as(world, name, dial=ways)["dialled"].values()) == {"Connection refused"}


@pytest.mark.parametrize("name", sorted(_OTHERS_VERBS))
def test_nobody_has_anothers_verbs(world: World, name: str) -> None:
    path = str(_run_dir(world) / f"opener-{name}.sock")
    got = _as(world, name, verbs=[(path, message) for message in _OTHERS_VERBS[name]])["verbs"]
    assert list(got) == ["not_yours"] * len(_OTHERS_VERBS[name])
