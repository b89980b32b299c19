"""A plant with people, a device, a target and every service up to the sessions; and a client that proves what it is."""

import base64
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar, cast

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.access_requests.model import Wish
from broker.access_requests.service import AccessRequestService, Asker
from broker.adapters.db.database import Database
from broker.audit.health import TrailHealth
from broker.audit.reactions import Reactions
from broker.devices.testing import BuiltDevice
from broker.grants.certificates import SshUserAuthority, spki_sha256
from broker.grants.model import Grant
from broker.grants.service import GrantService, Holder
from broker.identities.model import Person, Role
from broker.identities.testing import NOON
from broker.kernel.clock import milliseconds
from broker.kernel.ids import raw
from broker.kernel.sensitivity import SecretText
from broker.policy.rules import standard_rules
from broker.recordings.files import file_name_of
from broker.recordings.model import OpenedFacts
from broker.recordings.service import RecordingService
from broker.sessions.live import LiveSessions
from broker.sessions.model import AdmitRequest, Admitted, GatewayIdentity, LeaseAnswer, SshProof
from broker.sessions.reports import GatewayReports
from broker.sessions.service import SessionsService
from broker.sessions.watching import Watching
from broker.targets.model import Target
from broker.targets.testing import a_target
from broker.vault.model import CredentialKind
from recorder.seal import generate_recipient
from spa_knock.wire.keys import DeviceKeys
from spa_knock.wire.packet import Body, open_, seal
from spa_knock.wire.signature import signer
from tests.unit.broker.identities.world import World, a_world
from tests.unit.broker.schema import known_tables

SOURCE = "203.0.113.7"
SECRET = "target-pa55-word"
CHECKPOINT_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
EVIDENCE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
GATEWAY = GatewayIdentity("w1", "boot-1")
SessionPrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey


@dataclass(frozen=True)
class Plant:
    """Everything, on one database file."""

    world: World
    engineer: Person
    inviter: Person
    approver: Person
    laptop: BuiltDevice
    target: Target
    requests: AccessRequestService
    grants: GrantService
    recordings: RecordingService
    recordings_dir: Path
    sessions: SessionsService
    live: LiveSessions
    watching: Watching
    reports: GatewayReports
    unseal_public: bytes
    trail: TrailHealth

    @property
    def asker(self) -> Asker:
        return Asker(self.engineer.id, self.laptop.device.id, SOURCE)

    @property
    def holder(self) -> Holder:
        return Holder(self.engineer.id, self.laptop.device.id, SOURCE)

    def a_grant(self, hours: float = 2) -> Grant:
        """An approved request's grant, beginning now."""
        return _once(self, f"granted for {hours} h", lambda: self._granted(hours))

    def _granted(self, hours: float) -> Grant:
        wish = Wish("pump 3 stands still", "WO-1", None, timedelta(hours=hours))
        asked = self.requests.submit(self.asker, self.target.name, "maint", wish)
        self.requests.approve(self.approver.id, asked.request.id, None)
        return self.grants.issue(asked.request.id)

    def a_client(self, grant: Grant, key: SessionPrivateKey | None = None) -> "Client":
        """The engineer's laptop with a certificate for this grant."""
        key = key or Ed25519PrivateKey.generate()
        line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        issued = self.grants.certify(self.holder, grant.id, line)
        return Client(self, grant, key, issued.line)

    def admitted(self, grant: Grant | None = None) -> Admitted:
        """A session that was admitted."""
        if grant is None:
            return _once(self, "admitted", lambda: self._admitted(self.a_grant()))
        return self._admitted(grant)

    def _admitted(self, grant: Grant) -> Admitted:
        answer = self.sessions.admit(self.a_client(grant).connect())
        assert isinstance(answer, Admitted), answer
        return answer

    def lease(self, admitted: Admitted, signing_public: bytes = bytes(32)) -> LeaseAnswer:
        """The session's lease, its recording being open."""
        return self.sessions.lease(
            GATEWAY,
            admitted.session_id,
            admitted.verdict.permit.permit_id,
            OpenedFacts(signing_public, bytes(32)),
            str(self.recordings_dir / file_name_of(admitted.recording_id)),
        )

    def codes(self) -> list[str]:
        return self.world.codes()

    def pass_time(self, **by: float) -> None:
        self.world.clock.move(timedelta(**by))


@dataclass(frozen=True)
class Client:
    """What makes a connection: the device's key, the session key and a certificate of it."""

    plant: Plant
    grant: Grant
    key: SessionPrivateKey
    certificate_line: str

    def knock(
        self,
        *,
        laptop: BuiltDevice | None = None,
        address: str | None = SOURCE,
        door: int = 2,
        grant_id: str | None = None,
        bind: bytes | None = None,
        audience: bytes | None = None,
        age: timedelta = timedelta(seconds=1),
    ) -> tuple[str, bytes]:
        """The id of a fresh knock and its signed form."""
        device = laptop or self.plant.laptop
        audience = audience or self.plant.world.authorities.audience
        keys = DeviceKeys.derive(device.knock_key, audience)
        body = Body(
            service=door,
            stamp_ms=milliseconds(self.plant.world.clock.now() - age),
            address=ip_address(address) if address is not None else None,
            ttl_seconds=10,
            audience=audience,
            bind=bind or spki_sha256(self.key.public_key()),
            grant=raw(grant_id or self.grant.id),
        )
        nonce = secrets.token_bytes(12)
        packet = seal(body, keys, signer(device.private_key), bytes(8), nonce, 1)
        return nonce.hex(), open_(packet, keys).signed_knock

    def proof(
        self,
        username: str = "maint",
        *,
        key: SessionPrivateKey | None = None,
        certificate_line: str | None = None,
        identifier: bytes | None = None,
    ) -> SshProof:
        """What SSH authentication of a fresh connection proves."""
        identifier = identifier or secrets.token_bytes(32)
        certificate = blob_of(certificate_line or self.certificate_line)
        algorithm = (certificate_line or self.certificate_line).split()[0].encode()
        signed = signed_data(identifier, username, algorithm, certificate)
        return SshProof(certificate, signed, ssh_signature(key or self.key, signed), identifier)

    def connect(self, username: str = "maint", **changes: object) -> AdmitRequest:
        """A connection just as it should be, but for these changes."""
        knock_id, signed_knock = self.knock()
        request = AdmitRequest(
            gateway=GATEWAY,
            protocol="ssh",
            knock_id=knock_id,
            device_id=self.plant.laptop.device.id,
            grant_id=self.grant.id,
            source=SOURCE,
            source_port=50123,
            username=username,
            signed_knock=signed_knock,
            proof=self.proof(username),
        )
        return replace(request, **changes)  # type: ignore[arg-type]


def _file(database: Database) -> Path:
    return Path(str(database.engine.url.database))


def _content(database: Database) -> bytes:
    """The database's file, with all that was committed in it."""
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return _file(database).read_bytes()


def _put(database: Database, content: bytes) -> None:
    """Let the database be this file."""
    database.engine.dispose()
    _file(database).write_bytes(content)


Made = TypeVar("Made")
_made: dict[tuple[frozenset[str], str], tuple[object, bytes]] = {}


def _once(plant: Plant, name: str, make: Callable[[], Made]) -> Made:
    """What most tests begin with: made once, put into each plant on its first day, made anew in any other."""
    database, tables = plant.world.database, known_tables()
    if database.engine.dialect.name != "sqlite" or plant.world.clock.now() != NOON:
        return make()
    _, first_day = _founded_once(tables)
    if _content(database) != first_day:
        return make()
    if (tables, name) not in _made:
        _made[tables, name] = make(), _content(database)
    made, content = _made[tables, name]
    _put(database, content)
    return cast("Made", made)


@dataclass(frozen=True)
class _Founded:
    """Who and what is in a plant from its first day."""

    engineer: Person
    inviter: Person
    approver: Person
    laptop: BuiltDevice
    target: Target


def _found(world: World) -> _Founded:
    engineer = world.somebody(Role.VENDOR_ENGINEER, "vera")
    inviter, approver = world.somebody(Role.PLANT_ADMIN, "ines"), world.somebody(Role.PLANT_ADMIN, "anna")
    laptop = world.device_of(engineer, inviter)
    target = a_target(world.database, accounts=("maint", "root"))
    for account in ("maint", "root"):
        world.vault.put_credential(inviter.id, target.id, account, CredentialKind.PASSWORD, SecretText(SECRET))
    return _Founded(engineer, inviter, approver, laptop, target)


@cache
def _founded_once(_tables: frozenset[str]) -> tuple[_Founded, bytes]:
    """A plant of the first day and its database's file: hundreds of tests begin with it."""
    with TemporaryDirectory() as folder:
        world = a_world(Path(folder))
        founded = _found(world)
        world.database.close()
        return founded, (Path(folder) / "sallyport.db").read_bytes()


def a_plant(folder: Path, database_url: str | None = None) -> Plant:
    """A plant with an engineer, two administrators, a trusted laptop, and a target with a credential."""
    if database_url is None:
        founded, content = _founded_once(known_tables())
        world = a_world(folder, content=content)
    else:
        world = a_world(folder, database_url)
        founded = _found(world)
    database, clock = world.database, world.clock
    policy = standard_rules()
    requests = AccessRequestService(
        database, clock, people=world.people, devices=world.devices, targets=world.targets, policy=policy
    )
    grants = GrantService(
        database,
        clock,
        requests=requests,
        people=world.people,
        devices=world.devices,
        targets=world.targets,
        authority=SshUserAuthority(Ed25519PrivateKey.generate()),
    )
    recordings_dir = folder / "recordings"
    recordings_dir.mkdir()
    unseal_private, unseal_public = generate_recipient()
    recordings = RecordingService(
        database,
        clock,
        recordings_dir=recordings_dir,
        unseal_private=unseal_private,
        checkpoint_public=CHECKPOINT_KEY.public_key().public_bytes_raw(),
    )
    trail = TrailHealth(database, clock)
    sessions = SessionsService(
        database,
        clock,
        people=world.people,
        devices=world.devices,
        targets=world.targets,
        vault=world.vault,
        grants=grants,
        recordings=recordings,
        policy=policy,
        audience=world.authorities.audience,
        unseal_public=unseal_public,
        trail=trail,
    )
    reports = GatewayReports(
        database, clock, world.devices, recordings, evidence_public=EVIDENCE_KEY.public_key().public_bytes_raw()
    )
    live = LiveSessions(database, clock, orders=sessions.orders, grants=grants, targets=world.targets)
    Reactions(database)
    return Plant(
        world=world,
        engineer=founded.engineer,
        inviter=founded.inviter,
        approver=founded.approver,
        laptop=founded.laptop,
        target=founded.target,
        requests=requests,
        grants=grants,
        recordings=recordings,
        recordings_dir=recordings_dir,
        sessions=sessions,
        live=live,
        watching=Watching(live, recordings, beat=0.2),
        reports=reports,
        unseal_public=unseal_public,
        trail=trail,
    )


def a_session_key(kind: str = "ed25519") -> SessionPrivateKey:
    """A session key of one of the two kinds that are certified."""
    return Ed25519PrivateKey.generate() if kind == "ed25519" else generate_private_key(SECP256R1())


def blob_of(line: str) -> bytes:
    """The wire form of a key or certificate line."""
    return base64.b64decode(line.split()[1])


def text(value: bytes) -> bytes:
    """An SSH string (RFC 4251 section 5)."""
    return struct.pack(">I", len(value)) + value


def signed_data(identifier: bytes, username: str, algorithm: bytes, certificate: bytes) -> bytes:
    """What a client signs (RFC 4252 section 7)."""
    return (
        text(identifier)
        + b"\x32"
        + text(username.encode())
        + text(b"ssh-connection")
        + text(b"publickey")
        + b"\x01"
        + text(algorithm)
        + text(certificate)
    )


def ssh_signature(key: SessionPrivateKey, data: bytes) -> bytes:
    """A signature in its SSH form."""
    if isinstance(key, Ed25519PrivateKey):
        return text(b"ssh-ed25519") + text(key.sign(data))
    r, s = decode_dss_signature(key.sign(data, ECDSA(SHA256())))
    return text(b"ecdsa-sha2-nistp256") + text(text(_mpint(r)) + text(_mpint(s)))


def _mpint(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")
