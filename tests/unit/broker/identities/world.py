"""A plant's database, clock and the services of the lower domains, for the tests of them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from broker.adapters.db.database import Database
from broker.adapters.sealing import Sealer
from broker.app import problems
from broker.audit import store as audit_store
from broker.audit.model import AuditRecord
from broker.audit.store import EventAppender
from broker.devices.service import DeviceService
from broker.devices.testing import Authorities, BuiltDevice, a_device, site_facts, some_authorities
from broker.identities.access import PlantAccess, VendorAccess
from broker.identities.confirmation import ConfirmationService
from broker.identities.model import Person, Role, VendorConnection
from broker.identities.service import PeopleService
from broker.identities.sign_in import SignInService
from broker.identities.testing import NOON, a_person, cheap_passwords
from broker.identities.throttle import Throttle
from broker.kernel.clock import StandingClock
from broker.knock_link import store as _knocks  # noqa: F401 - its table belongs to the schema
from broker.targets.service import TargetService
from broker.vault.service import VaultService
from tests.unit.broker.schema import share_compiled, with_schema

SITE_KEY = bytes(range(32))


@dataclass(frozen=True)
class World:
    """Everything, on one database file."""

    database: Database
    clock: StandingClock
    sealer: Sealer
    authorities: Authorities
    people: PeopleService
    confirmation: ConfirmationService
    devices: DeviceService
    sign_in: SignInService
    targets: TargetService
    vault: VaultService
    plant_access: PlantAccess
    vendor_access: VendorAccess

    def trail(self) -> list[AuditRecord]:
        """The audit trail."""
        with self.database.reading() as session:
            return list(audit_store.walk(session))

    def codes(self) -> list[str]:
        """The codes of the audit trail."""
        return [record.code for record in self.trail()]

    def somebody(self, role: Role = Role.VENDOR_ENGINEER, username: str | None = None) -> Person:
        """An active person who can sign in."""
        return a_person(self.database, role=role, username=username, sealer=self.sealer)

    def device_of(self, engineer: Person, invited_by: Person) -> BuiltDevice:
        """A trusted device."""
        return a_device(self.database, self.sealer, self.authorities, person_id=engineer.id, invited_by=invited_by.id)


def a_world(folder: Path, database_url: str | None = None, content: bytes | None = None) -> World:
    """A fresh plant, on SQLite unless another empty database is named; `content` is what SQLite's file begins with."""
    clock = StandingClock(NOON)
    url = database_url or f"sqlite:///{folder / 'sallyport.db'}"
    database = Database(url, EventAppender(clock))
    if content is None:
        with_schema(database, url)
    else:
        (folder / "sallyport.db").write_bytes(content)
        share_compiled(database)
    sealer, authorities, passwords = Sealer(bytes(32)), _authorities(), cheap_passwords()
    people = PeopleService(database, clock, sealer, passwords)
    devices = DeviceService(
        database,
        clock,
        sealer,
        authority=authorities.devices,
        facts=site_facts(authorities),
        site_key=SITE_KEY,
        owners=people,
    )
    sign_in = SignInService(database, clock, sealer, devices, passwords)
    targets = TargetService(database, clock)
    return World(
        database=database,
        clock=clock,
        sealer=sealer,
        authorities=authorities,
        people=people,
        confirmation=ConfirmationService(database, clock, Throttle()),
        devices=devices,
        sign_in=sign_in,
        targets=targets,
        vault=VaultService(database, clock, sealer, targets),
        plant_access=PlantAccess(sign_in),
        vendor_access=VendorAccess(sign_in),
    )


_authorities = cache(some_authorities)


def an_application(*routers: object, connection: VendorConnection | None = None) -> TestClient:
    """A client of an application with these routers; at the vendor face requests come over `connection`."""
    application = FastAPI()
    problems.install(application)
    for router in routers:
        application.include_router(router)  # type: ignore[arg-type]

    @application.middleware("http")
    async def _connection(request: Request, call_next):  # type: ignore[no-untyped-def]
        if connection is not None:
            request.state.vendor = connection
        return await call_next(request)

    return TestClient(application, base_url="https://console.test", raise_server_exceptions=True)
