"""A real S3 server for tests: Ceph's RADOS gateway over one monitor and one store in memory, each a process of its own.

It speaks multipart uploads, versions and Object Lock, over TLS with a certificate of an authority that only the test
knows. Everything listens on 127.0.0.1 and lies in one folder in memory.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ACCESS_KEY = "SALLYTESTACCESS"
SECRET_KEY = "a-secret-only-of-this-test"
REGION = "default"
_START_SECONDS = 120
_PYTHON = "/usr/bin/python3"
_MAKE_STORE = """
import json, rados, sys
with rados.Rados(conffile=sys.argv[1], name="client.admin") as cluster:
    command = json.dumps({"prefix": "osd new", "uuid": sys.argv[2]})
    code, _, said = cluster.mon_command(command, b"{}", timeout=60)
    sys.exit(f"osd new: {code} {said}" if code else 0)
"""
_SPOIL = """
import rados, sys
with rados.Rados(conffile=sys.argv[1], name="client.admin") as cluster:
    with cluster.open_ioctx("default.rgw.buckets.data") as pool:
        names = [one.key for one in pool.list_objects() if sys.argv[2] in one.key and "multipart_" in one.key]
        if not names:
            sys.exit("no such object")
        for name in names:
            if sys.argv[3] == "lose":
                pool.remove_object(name)
            elif pool.stat(name)[0] > 400:
                pool.write(name, b"not what was recorded", 300)
"""
_CONF = """
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_port}
mon initial members = a
public network = 127.0.0.0/8
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 1073741824
mon allow pool size one = true
mon max pg per osd = 1000
paxos propose interval = 0.05
paxos min wait = 0.01
ms bind ipv6 = false
run dir = {root}/run
log file = {root}/$name.log
admin socket =
keyring = {root}/keyring
mon data = {root}/mon
osd data = {root}/osd
rgw data = {root}/rgw
mon cluster log file = {root}/cluster.log
[client.rgw]
rgw frontends = beast {endpoint}
rgw thread pool size = 16
rgw run sync thread = false
rgw enable gc threads = false
rgw enable lc threads = false
rgw enable quota threads = false
rgw enable usage log = false
"""


@dataclass
class ObjectServer:
    """The running server. `stop` and `start` take the S3 side away and bring it back; its data stays."""

    root: Path
    port: int
    authority: Path
    rgw: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the S3 side and wait until it answers."""
        self.rgw = _daemon(self.root, "radosgw", "-n", "client.rgw", "-f")
        context = ssl.create_default_context(cafile=str(self.authority))
        _until(lambda: self._answers(context), self.rgw, "radosgw")

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        assert self.rgw is not None
        self.rgw.send_signal(signal.SIGKILL)
        self.rgw.wait()
        self.rgw = None

    def spoil(self, name: str, how: str) -> None:
        """Behind the server's back: `alter` some bytes of the parts that it keeps of the object, or `lose` them."""
        _run(_PYTHON, "-c", _SPOIL, str(self.root / "ceph.conf"), name, how)

    def _answers(self, context: ssl.SSLContext) -> bool:
        try:
            with urllib.request.urlopen(self.endpoint, timeout=5, context=context):  # noqa: S310 - our own address
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False


@contextmanager
def object_server() -> Iterator[ObjectServer]:
    """The server with one user (`ACCESS_KEY`, `SECRET_KEY`), gone at the end."""
    shm = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="sally-s3-", dir=shm if os.access(shm, os.W_OK) else None))
    daemons: list[subprocess.Popen[bytes]] = []
    server = ObjectServer(root, _free_port(), root / "authority.pem")
    try:
        _lay_out(root, server.port)
        conf = str(root / "ceph.conf")
        _run("ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap", f"{root}/monmap", "--keyring", f"{root}/keyring")
        daemons.append(_daemon(root, "ceph-mon", "-i", "a", "-f"))
        osd = str(uuid.uuid4())
        _run(_PYTHON, "-c", _MAKE_STORE, conf, osd)
        _run("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", osd)
        daemons.append(_daemon(root, "ceph-osd", "-i", "0", "-f", "--osd-uuid", osd))
        server.start()
        admin = ("radosgw-admin", "-c", conf, "-n", "client.rgw", "user", "create", "--uid=sally")
        _run(*admin, "--display-name=sally", f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}")
        yield server
    finally:
        for daemon in (*([server.rgw] if server.rgw is not None else []), *reversed(daemons)):
            daemon.kill()
            daemon.wait()
        shutil.rmtree(root, ignore_errors=True)


def _lay_out(root: Path, port: int) -> None:
    for name in ("mon", "osd", "rgw", "run"):
        (root / name).mkdir()
    fsid, mon_port = str(uuid.uuid4()), _free_port()
    _certificates(root)
    endpoint = f"ssl_endpoint=127.0.0.1:{port} ssl_certificate={root}/server.pem ssl_private_key={root}/server.key"
    conf = _CONF.format(fsid=fsid, mon_port=mon_port, root=root, endpoint=endpoint)
    (root / "ceph.conf").write_text(conf)
    _run("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{mon_port}]", "--fsid", fsid, f"{root}/monmap")
    every = ("--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *")
    _run("ceph-authtool", "-C", f"{root}/keyring", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    for name in ("client.admin", "client.rgw"):
        _run("ceph-authtool", f"{root}/keyring", "--gen-key", "-n", name, *every)
    store = ("--cap", "mon", "allow profile osd", "--cap", "osd", "allow *")
    _run("ceph-authtool", f"{root}/keyring", "--gen-key", "-n", "osd.0", *store)


def _certificates(root: Path) -> None:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    _run("openssl", "req", "-x509", *curve, "-subj", "/CN=test S3 authority", "-keyout", f"{root}/authority.key",
         "-out", f"{root}/authority.pem")  # fmt: skip
    _run("openssl", "req", *curve[:5], "-subj", "/CN=127.0.0.1", "-keyout", f"{root}/server.key",
         "-out", f"{root}/server.csr")  # fmt: skip
    (root / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    _run("openssl", "x509", "-req", "-in", f"{root}/server.csr", "-CA", f"{root}/authority.pem", "-CAkey",
         f"{root}/authority.key", "-days", "2", "-extfile", f"{root}/names", "-out", f"{root}/server.pem")  # fmt: skip


def _daemon(root: Path, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
    with (root / f"{program}.out").open("ab") as out:
        return subprocess.Popen([program, "-c", f"{root}/ceph.conf", *arguments], stdout=out, stderr=out)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_START_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")


def _until(is_so: Callable[[], bool], daemon: "subprocess.Popen[bytes]", name: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while not is_so():
        if daemon.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{name} did not come up (exit {daemon.poll()})")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
