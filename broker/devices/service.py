"""Trusting devices and ending them, and saying which of them may connect now."""

import secrets
from collections.abc import Callable, Collection
from datetime import datetime

from sqlmodel import Session, col, select

from broker.adapters.db.database import Database, UnitOfWork
from broker.adapters.sealing import Sealer
from broker.devices import rules, store
from broker.devices.certificates import DeviceAuthority
from broker.devices.enrolment import DeviceEnrolments, knock_key_bound_to
from broker.devices.errors import (
    device_not_found,
    device_not_trusted,
    short_code_differs,
)
from broker.devices.events import (
    DeviceResumed,
    DeviceRetired,
    DeviceSuspended,
    DeviceTrusted,
)
from broker.devices.model import (
    DayKey,
    Device,
    DeviceState,
    Owners,
    Renewal,
    RosterDevice,
    SiteFacts,
)
from broker.devices.policy import DevicePolicies
from broker.devices.renewal import DeviceRenewals, is_its_certificate
from broker.devices.rules import DeviceCommand
from broker.devices.site_keys import SiteKeys
from broker.devices.store import DeviceRow, InviteRow
from broker.kernel.clock import Clock
from spa_knock.wire.keys import day_at, day_key


class DeviceService:
    """The registry of devices. `site_key` is the 32-byte K_site of which clients get day keys only."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        *,
        authority: DeviceAuthority,
        facts: SiteFacts,
        site_key: bytes,
        owners: Owners,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._owners = owners
        self.facts = facts
        self.policies = DevicePolicies(database)
        self.site_keys = SiteKeys(database, clock, sealer, site_key, random)
        self.enrolments = DeviceEnrolments(
            database,
            clock,
            sealer,
            authority=authority,
            facts=facts,
            owners=owners,
            day_keys=self.day_keys,
            random=random,
        )
        self._renewals = DeviceRenewals(
            database,
            clock,
            sealer,
            authority=authority,
            day_keys=self.day_keys,
            bound_to=knock_key_bound_to,
            random=random,
        )

    # -- the life of a device -----------------------------------------------------------------------------------------

    def trust(self, actor: str, device_id: str, short_code: str) -> Device:
        """Trust a pending device whose owner read this short code aloud.

        Whoever invited it may trust it too: both are kept, and the approval of its grants asks for somebody else.
        Raises NotFound, Conflict `devices.wrong_state`, Invalid `devices.short_code_differs`.
        """
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            row = _row(unit.session, device_id)
            row.state = rules.moved(row.state, DeviceCommand.TRUST)
            if not rules.same_short_code(row.short_code, short_code):
                raise short_code_differs()
            row.trusted_by, row.trusted_at = actor, now
            unit.session.add(row)
            unit.emit(DeviceTrusted(actor=actor, subject=row.id, person_id=row.person_id, invited_by=row.invited_by))
            return store.device_of(row)

    def suspend(self, actor: str, device_id: str) -> Device:
        """Stop a trusted device until it is resumed. Raises NotFound and Conflict `devices.wrong_state`."""
        with self._database.unit_of_work() as unit:
            row = self._move(unit, device_id, DeviceCommand.SUSPEND)
            unit.emit(DeviceSuspended(actor=actor, subject=row.id, person_id=row.person_id, mark=row.mark))
            return store.device_of(row)

    def resume(self, actor: str, device_id: str) -> Device:
        """Let a suspended device in again; whoever does so vouches for it as if they had trusted it.

        Raises NotFound and Conflict `devices.wrong_state`.
        """
        with self._database.unit_of_work() as unit:
            row = self._move(unit, device_id, DeviceCommand.RESUME)
            row.resumed_by = actor
            unit.emit(DeviceResumed(actor=actor, subject=row.id, person_id=row.person_id, mark=row.mark))
            return store.device_of(row)

    def retire(self, actor: str, device_id: str) -> Device:
        """Take a device out of use for good and erase its knock key.

        Raises NotFound and Conflict `devices.wrong_state`.
        """
        with self._database.unit_of_work() as unit:
            row = self._move(unit, device_id, DeviceCommand.RETIRE)
            row.knock_key_sealed = b""
            row.next_certificate = row.next_certificate_not_after = row.next_knock_key_sealed = None
            unit.emit(DeviceRetired(actor=actor, subject=row.id, person_id=row.person_id, mark=row.mark))
            return store.device_of(row)

    @staticmethod
    def _move(unit: UnitOfWork, device_id: str, command: DeviceCommand) -> DeviceRow:
        row = _row(unit.session, device_id)
        row.state = rules.moved(row.state, command)
        unit.session.add(row)
        return row

    # -- who may connect ----------------------------------------------------------------------------------------------

    def verify_connection(self, device_id: str, certificate_der: bytes) -> Device:
        """The device, when it is trusted now and this is its registered certificate, not expired.

        Raises Forbidden `device_not_trusted` otherwise, without saying why.
        """
        with self._database.reading() as session:
            device = self.verify_connection_within(session, device_id, certificate_der)
        if device.renewal_pending and self._renewals.conclude(device_id, certificate_der):
            return self.get(device_id)
        return device

    def verify_connection_within(self, session: Session, device_id: str, certificate_der: bytes) -> Device:
        """As `verify_connection`, read in the caller's transaction."""
        row = session.get(DeviceRow, device_id)
        if (
            row is None
            or row.state is not DeviceState.TRUSTED
            or not is_its_certificate(row, certificate_der, self._clock.now())
        ):
            raise device_not_trusted()
        return store.device_of(row)

    def renew(self, device_id: str, certificate_der: bytes, source: str) -> Renewal:
        """A new certificate and knock key for a connected device; the old ones hold until it uses the new certificate.

        Raises Forbidden `device_not_trusted`.
        """
        return self._renewals.offer(device_id, certificate_der, source)

    def owner_of(self, device_id: str, certificate_der: bytes) -> str:
        """The id of the owner of a connected device (what identities ask). Raises as `verify_connection`."""
        return self.verify_connection(device_id, certificate_der).person_id

    # -- reading ------------------------------------------------------------------------------------------------------

    def get(self, device_id: str) -> Device:
        """One device. Raises NotFound."""
        with self._database.reading() as session:
            return self.get_within(session, device_id)

    def get_within(self, session: Session, device_id: str) -> Device:
        """One device, read in the caller's transaction. Raises NotFound."""
        return store.device_of(_row(session, device_id))

    def public_key_within(self, session: Session, device_id: str) -> bytes | None:
        """The public key (DER SPKI) of a device or invite of that id, whatever its state.

        For checking signed evidence.
        """
        row = session.get(DeviceRow, device_id) or session.get(InviteRow, device_id)
        return row.public_key if row is not None else None

    def several_within(self, session: Session, device_ids: Collection[str]) -> dict[str, Device]:
        """Those of these devices that exist, by id, read in the caller's transaction."""
        rows = session.exec(select(DeviceRow).where(col(DeviceRow.id).in_(device_ids))).all()
        return {row.id: store.device_of(row) for row in rows}

    def devices(self, *, limit: int = 200, before: str | None = None) -> list[Device]:
        """Devices from the newest back, those before the id `before`."""
        with self._database.reading() as session:
            return store.devices(session, limit=limit, before=before)

    def devices_of(self, person_id: str) -> list[Device]:
        """Every device of a person, in the order they were enrolled in."""
        with self._database.reading() as session:
            query = select(DeviceRow).where(DeviceRow.person_id == person_id).order_by(col(DeviceRow.id))
            return [store.device_of(row) for row in session.exec(query).all()]

    def owner_names(self, devices: Collection[Device]) -> dict[str, str]:
        """The display names of these devices' owners, by the person's id."""
        return dict(self._owners.display_names({device.person_id for device in devices}))

    # -- the guard's and the clients' keys ----------------------------------------------------------------------------

    def day_keys(self, now: datetime) -> list[DayKey]:
        """The gate keys a client may have: of the day (UTC) that `now` lies in and the 30 days after it."""
        today, site_key = day_at(int(now.timestamp())), self.site_keys.for_clients()
        return [DayKey(day, day_key(site_key, day)) for day in range(today, today + rules.DAYS_OF_GATE_KEYS)]

    def revoked_marks(self) -> list[int]:
        """The marks of devices that are shut out: what the firewall must refuse, also after it lost everything."""
        with self._database.reading() as session:
            return list(store.shut_out_marks(session))

    def roster_devices(self) -> list[RosterDevice]:
        """Every device and invite that may knock now, with its knock key: for the guard's memory only."""
        now = self._clock.now()
        with self._database.reading() as session:
            devices, invites = store.trusted_devices(session, now), store.open_invites(session, now)
            owners = {row.person_id for row in devices} | {row.person_id for row in invites}
            able = self._owners.able_owners(owners)
            return [
                self._roster_device(
                    row,
                    rules.VENDOR_DOORS,
                    max(row.certificate_not_after, row.next_certificate_not_after or row.certificate_not_after),
                )
                for row in devices
                if row.person_id in able
            ] + [
                self._roster_device(row, rules.INVITE_DOORS, row.expires_at) for row in invites if row.person_id in able
            ]

    def _roster_device(self, row: DeviceRow | InviteRow, doors: tuple[int, ...], not_after: datetime) -> RosterDevice:
        device = row if isinstance(row, DeviceRow) else None
        following = device.next_knock_key_sealed if device is not None else None
        return RosterDevice(
            device_id=row.id,
            knock_key=self._sealer.open(row.knock_key_sealed, knock_key_bound_to(row.id)),
            public_key=row.public_key,
            mark=row.mark,
            allow_header_address=device.allow_header_address if device is not None else True,
            doors=doors,
            not_after=not_after,
            next_knock_key=self._sealer.open(following, knock_key_bound_to(row.id)) if following else None,
            loose_clock=device is not None and device.loose_clock,
        )


def _row(session: Session, device_id: str) -> DeviceRow:
    row = session.get(DeviceRow, device_id)
    if row is None:
        raise device_not_found()
    return row
