"""Accepted knocks as the trail gets them, and the roster's facts as the registry has them."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from sqlmodel import Session

from broker.adapters.db.database import Database
from broker.devices.service import DeviceService
from broker.devices.store import note_knock
from broker.kernel.ids import raw
from broker.knock_link import store
from broker.knock_link.events import GuardArmed, GuardDegraded, KnockAccepted, KnockUnproved
from broker.knock_link.model import GuardStatus, KnockFact, RosterFacts, RosterGrant
from spa_knock.wire.errors import WireError
from spa_knock.wire.packet import nonce_of_signed, verify_signed
from spa_knock.wire.signature import load_public_key

_GUARD: Final = "system:guard"


class Knocks:
    """The accepted knocks. Each is taken only with the device's own signature: the guard proves what it claims."""

    def __init__(self, database: Database, devices: DeviceService) -> None:
        self._database = database
        self._devices = devices

    def record(self, fact: KnockFact) -> bool:
        """Store a knock and tell the trail; False when its device did not sign it, which is told too.

        One that is known already changes nothing.
        """
        with self._database.unit_of_work() as unit:
            if store.find(unit.session, fact.knock_id) is not None:
                return True
            fault = self._fault_of(unit.session, fact)
            if fault is not None:
                unit.emit(
                    KnockUnproved(
                        actor=_GUARD,
                        subject=fact.device_id,
                        knock_id=fact.knock_id,
                        door=fact.door,
                        address=fact.address,
                        reason=fault,
                    )
                )
                return False
            store.add(unit.session, fact)
            note_knock(unit.session, fact.device_id, fact.at)
            unit.emit(
                KnockAccepted(
                    actor=fact.device_id,
                    subject=fact.device_id,
                    knock_id=fact.knock_id,
                    door=fact.door,
                    grant_id=fact.grant_id,
                    address=fact.address,
                    window_seconds=fact.window_seconds,
                    signed_knock_sha256=hashlib.sha256(fact.signed_knock).hexdigest(),
                )
            )
            return True

    def tell_state(self, status: GuardStatus) -> None:
        """Have the trail say that the guard accepts knocks, or why it does not."""
        with self._database.unit_of_work() as unit:
            if status.state == "armed":
                unit.emit(GuardArmed(actor=_GUARD, subject=_GUARD))
            else:
                unit.emit(GuardDegraded(actor=_GUARD, subject=_GUARD, faults=" ".join(status.faults) or status.state))

    def find(self, knock_id: str) -> KnockFact | None:
        """The accepted knock of that id."""
        with self._database.reading() as session:
            return store.find(session, knock_id)

    def find_within(self, session: Session, knock_id: str) -> KnockFact | None:
        """The accepted knock of that id, read in the caller's transaction."""
        return store.find(session, knock_id)

    def _fault_of(self, session: Session, fact: KnockFact) -> str | None:
        public_key = self._devices.public_key_within(session, fact.device_id)
        if public_key is None:
            return "unknown_device"
        try:
            body = verify_signed(fact.signed_knock, load_public_key(public_key))
        except WireError:
            return "signature"
        if nonce_of_signed(fact.signed_knock).hex() != fact.knock_id:
            return "knock_id"
        if body.service != fact.door:
            return "door"
        if fact.grant_id is not None and body.grant != raw(fact.grant_id):
            return "grant"
        if body.address is not None and str(body.address) != fact.address:
            return "address"
        if body.audience.hex() != self._devices.facts.audience_hex:
            return "audience"
        return None


class DeviceRosterSource:
    """The roster's facts: devices and keys from the registry, live grants from `grants`, which lies above."""

    def __init__(self, devices: DeviceService, grants: Callable[[], Sequence[RosterGrant]]) -> None:
        self._devices = devices
        self._grants = grants

    def roster_facts(self) -> RosterFacts:
        """Who may knock now."""
        grants = tuple(self._grants())
        return RosterFacts(
            audience_hex=self._devices.facts.audience_hex,
            site_keys=self._devices.site_keys.in_force(),
            devices=tuple(self._devices.roster_devices()),
            grants=grants,
        )
