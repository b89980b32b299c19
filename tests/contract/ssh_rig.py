"""A gateway with real sockets, a fake control, and what a stock ssh client needs to come through it."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker.gateway.gateway import Gateway, GatewayConfig
from broker.gateway.recording_care import RecordingCare
from broker.gateway.testing import FakeAuthority, expect_message, knock
from broker.protocols.catalogue import find_protocols
from recorder.frames import Frame, FrameKind
from recorder.replay import open_recording
from recorder.verify import verify
from spa_knock.link.framing import Decoder, encode

PROXY = """
import os, select, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(bytes.fromhex(sys.argv[2]))
while True:
    for f in select.select([s, 0], [], [])[0]:
        data = s.recv(65536) if f is s else os.read(0, 65536)
        if not data:
            sys.exit(0)
        if f is s:
            while data:
                data = data[os.write(1, data):]
        else:
            s.sendall(data)
"""


def key_hash(key: asyncssh.SSHKey) -> bytes:
    return hashlib.sha256(key.export_public_key("pkcs8-der")).digest()


@dataclass
class Done:
    status: int
    out: bytes
    err: bytes


class Rig:
    """Everything of one test; `ssh` runs the stock client with a fresh knock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recordings = folder / "recordings"
        self.state = folder / "state"
        self.authority = FakeAuthority(folder / "authority.sock")
        self.user_ca = asyncssh.generate_private_key("ssh-ed25519")
        self.host_ca = asyncssh.generate_private_key("ssh-ed25519")
        self.session_key = asyncssh.generate_private_key("ssh-ed25519")
        self._knocking = asyncio.Lock()
        self.guard: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.port = 0
        self.gateway: Gateway | None = None
        self.evidence = Ed25519PrivateKey.generate()
        self.care = RecordingCare()

    async def start(self) -> None:
        for folder in (self.recordings, self.state):
            folder.mkdir(exist_ok=True)
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        host_key.write_private_key(self.folder / "host_key")
        certificate = self.host_ca.generate_host_certificate(host_key, "gateway", principals=["plant"])
        certificate.write_certificate(self.folder / "host_key-cert.pub")
        self.session_key.write_private_key(self.folder / "session_key")
        (self.folder / "session_key").chmod(0o600)
        self.write_certificate(["sallyport"])
        ca = self.host_ca.export_public_key().decode().strip()
        (self.folder / "known_hosts").write_text(f"@cert-authority plant {ca}\n")
        (self.folder / "proxy.py").write_text(PROXY)
        (self.folder / "evidence.pem").write_bytes(
            self.evidence.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        await self.authority.start()

    def write_certificate(self, principals: Sequence[str], **options: object) -> asyncssh.SSHCertificate:
        certificate = self.user_ca.generate_user_certificate(
            self.session_key, "dev_1", principals=principals, valid_before="+1h", **options
        )
        certificate.write_certificate(self.folder / "session_key-cert.pub")
        return certificate

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Rig"]:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        knocks = socket.socket(socket.AF_UNIX)
        (self.folder / "knocks.sock").unlink(missing_ok=True)
        knocks.bind(str(self.folder / "knocks.sock"))
        knocks.listen()
        cut = socket.socket(socket.AF_UNIX)
        (self.folder / "cut.sock").unlink(missing_ok=True)
        cut.bind(str(self.folder / "cut.sock"))
        cut.listen()
        self.gateway = Gateway(
            GatewayConfig(
                authority_socket=self.authority.path,
                vendor_socket=self.folder / "vendor.sock",
                recordings_dir=self.recordings,
                state_dir=self.state,
                ssh_host_key_file=self.folder / "host_key",
                ssh_host_certificate_file=self.folder / "host_key-cert.pub",
                tls_chain_file=self.folder / "none",
                tls_key_file=self.folder / "none",
                device_ca_file=self.folder / "none",
                evidence_key_file=self.folder / "evidence.pem",
                protocols={"ssh": (listener,)},
                knocks=(knocks,),
                cut=(cut,),
                guard_uid=os.getuid(),
                care=self.care,
            ),
            find_protocols(),
        )
        task = asyncio.create_task(self.gateway.run())
        try:
            await self.authority.until(lambda: any(m["type"] == "hello" for m in self.authority.asked))
            self.guard = await asyncio.open_unix_connection(self.folder / "knocks.sock")
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if self.guard is not None:
                self.guard[1].transport.abort()
            await self.authority.stop()
            for sock in (listener, knocks, cut):
                sock.close()

    async def knock(self, *, bind: bytes | None = None, address: str = "127.0.0.1") -> bytes:
        """Tells the gateway of an accepted knock; the 48 bytes of its connection."""
        assert self.guard is not None
        expected, proof = knock(bind=bind if bind is not None else key_hash(self.session_key), address=address)
        reader, writer = self.guard
        decoder = Decoder()
        async with self._knocking:
            writer.write(encode(expect_message(expected)))
            while not (messages := decoder.feed(await reader.read(4096))):
                pass
        assert messages[0]["type"] == "expecting"
        return proof

    async def command_line(self, *arguments: str, user: str = "sallyport", program: str = "ssh") -> list[str]:
        proof = (await self.knock()).hex()
        proxy = f"/usr/bin/python3 -S -E {self.folder}/proxy.py {self.port} {proof}"
        options = {
            "UserKnownHostsFile": self.folder / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "HostKeyAlias": "plant",
            "IdentityFile": self.folder / "session_key",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "BatchMode": "yes",
            "ProxyCommand": proxy,
            "User": user,
        }
        line = [program, "-F", "none"]
        for name, value in options.items():
            line += ["-o", f"{name}={value}"]
        return [*line, *arguments]

    async def ssh(self, *arguments: str, data: bytes | None = b"", user: str = "sallyport", wait: float = 20) -> Done:
        """The stock client to its end; `arguments` are options, the host `plant`, and a command."""
        return await self.run("ssh", *arguments, data=data, user=user, wait=wait)

    async def run(
        self, program: str, *arguments: str, data: bytes | None = b"", user: str = "sallyport", wait: float = 20
    ) -> Done:
        """`ssh`, `scp` or `sftp` to its end, with a fresh knock."""
        line = await self.command_line(*arguments, user=user, program=program)
        process = await asyncio.create_subprocess_exec(
            *line,
            stdin=subprocess.PIPE if data is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "LC_TEST": "seen", "SECRET": "hidden"},
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(data), wait)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Done(process.returncode or 0, out, err)

    @contextlib.asynccontextmanager
    async def terminal(self, *arguments: str) -> AsyncIterator["TerminalProcess"]:
        """The stock client on a terminal of its own."""
        process = TerminalProcess(await self.command_line(*arguments))
        await process.start()
        try:
            yield process
        finally:
            await process.stop()

    async def ended(self, count: int = 1) -> dict[str, object]:
        """The last `ended` that control got, once it got so many."""
        await self.authority.until(lambda: len(self.authority.ended) >= count)
        return self.authority.ended[-1]

    def frames(self, number: int = -1) -> list[Frame]:
        """The frames of a recording, by age; the file must verify."""
        path = sorted(self.recordings.iterdir(), key=lambda p: p.stat().st_mtime_ns)[number]
        report = verify(path, signing_public=None)
        assert report.first_bad_batch is None, report
        return list(open_recording(path, self.authority.unseal_private).frames())

    def recorded(self, kind: FrameKind, number: int = -1) -> bytes:
        return b"".join(frame.data for frame in self.frames(number) if frame.kind is kind)


class TerminalProcess:
    """A program on a pseudo-terminal, typed at and read like by a person."""

    def __init__(self, line: list[str]) -> None:
        self._line = line
        self._master = -1
        self._process: asyncio.subprocess.Process | None = None
        self._new = asyncio.Event()
        self._read_to = 0
        self.output = bytearray()

    async def start(self) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self._process = await asyncio.create_subprocess_exec(
            *self._line,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={"PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8"},
        )
        os.close(slave)
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self._master, 65_536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
        self.output += data
        self._new.set()

    def type(self, data: bytes) -> None:
        os.write(self._master, data)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        assert self._process is not None
        self._process.send_signal(signal.SIGWINCH)

    async def see(self, pattern: bytes, seconds: float = 10) -> re.Match[bytes]:
        """Waits for output behind what was seen before. Raises TimeoutError with what came."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    match = re.compile(pattern, re.DOTALL).search(self.output, self._read_to)
                    if match is not None:
                        self._read_to = match.end()
                        return match
                    self._new.clear()
                    await self._new.wait()
        except TimeoutError as error:
            raise TimeoutError(f"{pattern!r} did not come; seen: {bytes(self.output[self._read_to :])!r}") from error

    async def end(self, seconds: float = 10) -> int:
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), seconds)

    async def stop(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)


@contextlib.asynccontextmanager
async def sshd(folder: Path) -> AsyncIterator[tuple[int, asyncssh.SSHKey, asyncssh.SSHKey]]:
    """Debian's own server as the target, root by key: its port, its host key and the key that opens it."""
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    login_key = asyncssh.generate_private_key("ssh-ed25519")
    host_key.write_private_key(folder / "target_host_key")
    (folder / "target_host_key").chmod(0o600)
    login_key.write_public_key(folder / "authorized_keys")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/target_host_key\nPidFile none\nUsePAM no\n"
        f"PermitRootLogin prohibit-password\nAuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\n"
        f"SetEnv HISTFILE={folder}/history\n"
        "AcceptEnv *\nPasswordAuthentication no\nPrintMotd no\nPrintLastLog no\nLogLevel ERROR\n"
        "Subsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec("/usr/sbin/sshd", "-D", "-e", "-f", f"{folder}/sshd_config")
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            await asyncio.sleep(0.02)
        yield port, host_key, login_key
    finally:
        process.terminate()
        await process.wait()


@contextlib.contextmanager
def short_folder() -> "contextlib._GeneratorContextManager[Path]":
    """A folder whose path is short enough for Unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="sp-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def asyncssh_client(rig: Rig) -> asyncssh.SSHClientConnection:
    """A client that proves itself and then speaks SSH by asyncssh, also with the post-quantum exchange."""
    sock = socket.create_connection(("127.0.0.1", rig.port))
    sock.sendall(await rig.knock())
    certificate = asyncssh.read_certificate(rig.folder / "session_key-cert.pub")
    return await asyncssh.connect(
        sock=sock,
        username="sallyport",
        client_keys=[(rig.session_key, certificate)],
        known_hosts=([], [rig.host_ca.convert_to_public()], []),
        host_key_alias="plant",
        kex_algs=["mlkem768x25519-sha256"],
        config=None,
        agent_path=None,
        gss_host=None,
        x509_trusted_certs=None,
    )
