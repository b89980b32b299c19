"""A site whose control plane, gateway, sshd and ssh client are the real ones, in one loop of a background thread.

Played are only the firewall writer, which takes every wish, and the guard with the client's helper: knocks are told to
the gateway directly, with the device's real signature. Everybody connects from 127.0.0.1.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncssh
import uvicorn

from broker.access_requests.model import Wish
from broker.access_requests.service import Asker
from broker.app import faces, gateway_main, keys, migrations, wiring
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import Settings, parse
from broker.devices.certificates import DeviceAuthority
from broker.devices.testing import Authorities, BuiltDevice, a_device
from broker.gateway.gateway import Gateway, GatewayConfig
from broker.gateway.knocks import Expectation
from broker.gateway.testing import expect_message, wall_ms
from broker.grants.model import Grant
from broker.grants.service import Holder
from broker.identities.model import Person, Role
from broker.identities.testing import a_person
from broker.kernel.clock import milliseconds
from broker.kernel.ids import raw
from broker.kernel.sensitivity import SecretText
from broker.protocols.catalogue import find_protocols
from broker.targets.model import Target
from broker.targets.testing import a_target
from broker.vault.model import CredentialKind
from spa_knock.link.framing import Decoder, encode
from spa_knock.wire.keys import DeviceKeys
from spa_knock.wire.packet import Body, open_, seal
from spa_knock.wire.proof import make_proof, proof_key
from spa_knock.wire.signature import signer
from tests.contract.ssh_rig import PROXY, TerminalProcess, key_hash, sshd

HERE: Final = "127.0.0.1"
SSH_DOOR: Final = 2
Result = TypeVar("Result")


class FirewallPlayer:
    """The opener's control socket: says yes, and keeps what was wished."""

    def __init__(self, path: Path) -> None:
        self.heard: list[dict[str, object]] = []
        self._path = path

    async def serve(self) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            decoder = Decoder()
            try:
                while data := await reader.read(4096):
                    for message in decoder.feed(data):
                        self.heard.append(message)
                        writer.write(encode({"type": "done"}))
            finally:
                writer.transport.abort()

        server = await asyncio.start_unix_server(connected, self._path)
        async with server:
            await server.serve_forever()


class LiveSite:
    """`url` is the plant face without its TLS. Everything with `await` runs by `do`."""

    def __init__(self, folder: Path, house: House, settings: Settings) -> None:
        self.folder, self.house, self.settings = folder, house, settings
        self.layout = Layout.of(settings)
        self.url = ""
        self.firewall = FirewallPlayer(self.layout.socket("opener-control"))
        self.session_key = asyncssh.generate_private_key("ssh-ed25519")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: list[Future[Any]] = []
        self._listeners: list[socket.socket] = []
        self._port = 0
        opened = keys.open_control_keys(self.layout)
        self._authority = DeviceAuthority(opened.device_authority_pem, opened.device_authority_key)
        self._sealer = opened.sealer
        now = house.clock.now()
        self.engineer = self.person(Role.VENDOR_ENGINEER, "wang")
        self.admin = self.person(Role.PLANT_ADMIN, "zhang")
        self.inviter = self.person(Role.PLANT_ADMIN, "ines")
        self.auditor = self.person(Role.AUDITOR, "audit")
        self.security = self.person(Role.SECURITY_ADMINISTRATOR, "sec")
        authorities = Authorities(None, self._authority, None)  # type: ignore[arg-type]
        self.laptop: BuiltDevice = a_device(
            house.database, self._sealer, authorities, person_id=self.engineer.id, invited_by=self.inviter.id, at=now
        )

    def person(self, role: Role, username: str) -> Person:
        """Somebody who can sign in with the tests' password and codes."""
        return a_person(
            self.house.database, role=role, username=username, sealer=self._sealer, at=self.house.clock.now()
        )

    def do(self, work: Coroutine[Any, Any, Result], seconds: float = 60) -> Result:
        """Run this in the site's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def start(self) -> None:
        """Begin to serve; returns when the gateway has said hello to control."""
        self._thread.start()
        authority = self._unix("authority")
        # The gateway has this process's user id here.
        self.house.authority._peer_uid = os.getuid()
        self._begin(self.firewall.serve())
        self._begin(self.house.authority.serve(authority))
        gateway = Gateway(self._gateway_config(), find_protocols())
        self._begin(gateway.run())
        self._begin(self._react())
        config = uvicorn.Config(
            faces.plant_face(self.house), http="h11", ws="none", lifespan="off", log_config=None,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        plant = self._tcp()
        self.url = f"http://localhost:{plant.getsockname()[1]}"
        self._serving = self._begin(self._server.serve(sockets=[plant]))
        self.until(lambda: self._server.started and bool(self.house.authority.workers) and gateway.ready.is_set())

    def stop(self) -> None:
        self.house.watching.stop()
        self._server.should_exit = True
        self._serving.result(20)  # it closes its browsers' connections; cancelled, it would leave them open
        for task in reversed(self._tasks):
            task.cancel()
        self.do(self._settled())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        for listener in self._listeners:
            listener.close()

    def until(self, ready: Callable[[], bool], seconds: float = 20) -> None:
        """Wait for something of this side. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                raise TimeoutError("it did not come about")
            time.sleep(0.02)

    # -- targets, grants, sessions --------------------------------------------------------------------------------

    def target(self, name: str, port: int, host_key: asyncssh.SSHKey, login_key: asyncssh.SSHKey) -> Target:
        """A target at this host; no rule of the product lets anybody enter one, so it is put into its table."""
        line = " ".join(host_key.export_public_key().decode().split()[:2])
        target = a_target(
            self.house.database, name=name, address=HERE, port=port, host_key=line, accounts=("root",),
            at=self.house.clock.now(),
        )  # fmt: skip
        secret = SecretText(login_key.export_private_key().decode())
        self.house.vault.put_credential(self.security.id, target.id, "root", CredentialKind.PRIVATE_KEY, secret)
        return target

    def grant(self, target: Target) -> Grant:
        """An approved request's grant, beginning now, with a certificate for the session key."""
        house = self.house
        wish = Wish("pump 3 stands still", "WO-1", None, timedelta(hours=2))
        asked = house.requests.submit(Asker(self.engineer.id, self.laptop.device.id, HERE), target.name, "root", wish)
        house.requests.approve(self.admin.id, asked.request.id, None)
        grant = house.grants.issue(asked.request.id)
        line = self.session_key.export_public_key().decode().strip()
        issued = house.grants.certify(Holder(self.engineer.id, self.laptop.device.id, HERE), grant.id, line)
        self.session_key.write_private_key(self.folder / "session_key")
        (self.folder / "session_key").chmod(0o600)
        (self.folder / "session_key-cert.pub").write_text(issued.line + "\n")
        facts = house.devices.facts
        (self.folder / "known_hosts").write_text(f"@cert-authority {facts.host_key_alias} {facts.host_ca}\n")
        (self.folder / "proxy.py").write_text(PROXY)
        return grant

    @contextlib.contextmanager
    def terminal(self, grant: Grant) -> Iterator["Terminal"]:
        """The stock client on a terminal of its own, in a session under this grant."""
        process = TerminalProcess(self._command_line(grant))
        self.do(process.start())
        try:
            yield Terminal(self, process)
        finally:
            self.do(process.stop())

    def _command_line(self, grant: Grant) -> list[str]:
        proof = self.do(self._knock(grant)).hex()
        options = {
            "UserKnownHostsFile": self.folder / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "HostKeyAlias": self.house.devices.facts.host_key_alias,
            "IdentityFile": self.folder / "session_key",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "BatchMode": "yes",
            "ProxyCommand": f"/usr/bin/python3 -S -E {self.folder}/proxy.py {self._port} {proof}",
            "User": "sallyport",
        }
        line = ["ssh", "-F", "none"]
        for name, value in options.items():
            line += ["-o", f"{name}={value}"]
        return [*line, "-tt", "plant"]

    async def _knock(self, grant: Grant) -> bytes:
        """Knocks as the device would, and tells the gateway of it as the guard would."""
        audience = keys.audience_of(self.layout.site_root.read_bytes())
        bind = key_hash(self.session_key)
        nonce = secrets.token_bytes(12)
        body = Body(
            service=SSH_DOOR,
            stamp_ms=milliseconds(datetime.now(UTC)),
            address=ip_address(HERE),
            ttl_seconds=15,
            audience=audience,
            bind=bind,
            grant=raw(grant.id),
        )
        device_keys = DeviceKeys.derive(self.laptop.knock_key, audience)
        packet = seal(body, device_keys, signer(self.laptop.private_key), bytes(8), nonce, 1)
        expected = Expectation(
            knock_id=nonce.hex(),
            device_id=self.laptop.device.id,
            door=SSH_DOOR,
            grant_id=grant.id,
            address=HERE,
            bind=bind,
            proof_key=proof_key(self.laptop.knock_key, audience, nonce),
            signed_knock=open_(packet, device_keys).signed_knock,
            mark=self.laptop.device.mark,
            expires_at_ms=wall_ms() + 15_000,
        )
        reader, writer = await asyncio.open_unix_connection(self.layout.socket("knocks"))
        decoder = Decoder()
        writer.write(encode(expect_message(expected)))
        while not (messages := decoder.feed(await reader.read(4096))):
            pass
        assert messages[0]["type"] == "expecting"
        writer.transport.abort()
        return make_proof(self.laptop.knock_key, audience, nonce, SSH_DOOR)

    # -- running --------------------------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        self._tasks.append(asyncio.run_coroutine_threadsafe(work, self._loop))
        return self._tasks[-1]

    async def _react(self) -> None:
        """Delivers events as the control process does."""
        while True:
            await asyncio.to_thread(self.house.reactions.deliver_pending)
            await asyncio.sleep(0.2)

    async def _settled(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), 20)
        await asyncio.sleep(0.05)  # aborted connections close their sockets in the loop
        await self._loop.shutdown_default_executor()

    def _unix(self, name: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        path = self.layout.socket(name)
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen()
        self._listeners.append(listener)
        return listener

    def _tcp(self) -> socket.socket:
        listener = socket.create_server((HERE, 0))
        self._listeners.append(listener)
        return listener

    def _gateway_config(self) -> GatewayConfig:
        ssh = self._tcp()
        self._port = ssh.getsockname()[1]
        folder = self.layout.gateway
        return GatewayConfig(
            authority_socket=self.layout.socket("authority"),
            vendor_socket=self.layout.socket("vendor"),
            recordings_dir=self.layout.recordings,
            state_dir=folder,
            ssh_host_key_file=folder / "ssh_host_key",
            ssh_host_certificate_file=folder / "ssh_host_key-cert.pub",
            tls_chain_file=folder / "front.pem",
            tls_key_file=folder / "front.key",
            device_ca_file=self.layout.device_authority,
            evidence_key_file=folder / "evidence.key",
            receipt_key_file=self.layout.receipts_public,
            protocols={"ssh": (ssh,)},
            knocks=(self._unix("knocks"),),
            guard_uid=os.getuid(),
        )


class Terminal:
    """An engineer at the stock client, for tests without a loop of their own."""

    def __init__(self, site: LiveSite, process: TerminalProcess) -> None:
        self._site, self._process = site, process

    def type(self, data: bytes) -> None:
        self._process.type(data)

    def see(self, pattern: bytes, seconds: float = 20) -> None:
        """Raises TimeoutError with what came instead."""
        self._site.do(self._process.see(pattern, seconds))

    def end(self) -> int:
        """The client's exit status, once it has left."""
        return self._site.do(self._process.end(20))


@contextlib.contextmanager
def live_site(folder: Path, **more: dict[str, object]) -> Iterator[LiveSite]:
    """A new site that serves, with `more` sections of settings. `folder` needs a path short enough for Unix sockets."""
    settings = parse(
        {
            **more,
            "site": {"name": "e2e", "state_dir": str(folder / "state"), "run_dir": str(folder / "run")},
            "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
            "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
        }
    )
    gateway_main.name_the_user()
    keys.initialise(settings, datetime.now(UTC), give_away=False)
    layout = Layout.of(settings)
    migrations.upgrade(layout.database_url(settings))
    for needed in (layout.socket("authority").parent, layout.recordings, layout.gateway):
        needed.mkdir(parents=True, exist_ok=True)
    with wiring.opened(settings) as house:
        site = LiveSite(folder, house, settings)
        try:
            site.start()
            yield site
        finally:
            site.stop()


@contextlib.contextmanager
def a_target_machine(site: LiveSite, folder: Path) -> Iterator[tuple[int, asyncssh.SSHKey, asyncssh.SSHKey]]:
    """Debian's sshd, as `sshd` of the rig: its port, its host key, and the key that opens it."""
    context = sshd(folder)
    made = site.do(context.__aenter__())
    try:
        yield made
    finally:
        site.do(context.__aexit__(None, None, None))
