"""Gathers what the judge must know of a connection: reads the records, verifies the proofs, decides nothing."""

import hashlib
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session

from broker.devices.model import Device, DeviceState
from broker.devices.service import DeviceService
from broker.grants.certificates import COMMON_PRINCIPAL
from broker.grants.model import Grant
from broker.grants.rules import standing
from broker.grants.service import GrantService
from broker.identities.model import Person, PersonState, Role
from broker.identities.service import PeopleService
from broker.kernel.errors import Conflict, NotFound
from broker.policy.model import (
    Asked,
    ClientProof,
    DeviceFacts,
    Facts,
    GrantFacts,
    LiveKnock,
    NotProven,
    PersonFacts,
)
from broker.sessions import store
from broker.sessions.model import AdmitRequest
from broker.sessions.proof import ProofRefused, check_issued, verify_knock, verify_userauth
from broker.targets.model import Target
from broker.targets.service import TargetService

RETIRED: Final = NotProven("targets.retired", "The target is retired. Ask the plant what has taken its place.")
UNKNOWN: Final = NotProven("sessions.unknown_grant", "There is no such grant for this device.")


@dataclass(frozen=True)
class Gathered:
    """The facts of one connection, with the serial of the certificate when there is a verified one."""

    facts: Facts
    serial: int | None


class FactsOfConnections:
    """Reads and verifies, in the caller's transaction. `audience` (8 bytes) is this site's."""

    def __init__(
        self,
        *,
        people: PeopleService,
        devices: DeviceService,
        targets: TargetService,
        grants: GrantService,
        audience: bytes,
    ) -> None:
        self._people = people
        self._devices = devices
        self._targets = targets
        self._grants = grants
        self._audience = audience

    def gather(self, session: Session, request: AdmitRequest, permit_id: str) -> Gathered | NotProven:
        """Everything about this connection, or NotProven when its grant, device or target cannot be used."""
        try:
            grant = self._grants.locked_within(session, request.grant_id)
            device = self._devices.get_within(session, request.device_id)
            person = self._people.get_within(session, grant.person_id)
            target = self._targets.in_use_within(session, grant.target_id)
        except NotFound:
            return UNKNOWN
        except Conflict:
            return RETIRED
        knock = self._knock(request, device)
        serial, proof = self._proof(session, request)
        return Gathered(
            Facts(
                permit_id=permit_id,
                asked=Asked(
                    protocol=request.protocol,
                    grant_id=request.grant_id,
                    device_id=request.device_id,
                    account=_asked_account(request.username, grant, person, target),
                    source=request.source,
                ),
                grant=_grant_facts(grant, target),
                person=PersonFacts(person.id, person.display_name, _may_hold_sessions(person)),
                device=device_facts(device),
                knock=knock,
                proof=proof,
            ),
            serial,
        )

    def still_holds(self, session: Session, grant_id: str, device_id: str, person_id: str) -> bool:
        """Whether grant, device and person are still in order: a second look before a credential leaves.

        It keeps the grant from changing, so it belongs in a transaction that writes.
        """
        try:
            self._grants.locked_within(session, grant_id)
        except NotFound:
            return False
        return self.seems_to_hold(session, grant_id, device_id, person_id)

    def seems_to_hold(self, session: Session, grant_id: str, device_id: str, person_id: str) -> bool:
        """As `still_holds`, but only read: also while the database cannot be written."""
        try:
            grant = self._grants.get_within(session, grant_id)
            device = self._devices.get_within(session, device_id)
            person = self._people.get_within(session, person_id)
        except NotFound:
            return False
        return standing(grant).value == "live" and device_facts(device).is_trusted and _may_hold_sessions(person)

    def _knock(self, request: AdmitRequest, device: Device) -> LiveKnock | NotProven:
        try:
            return verify_knock(
                request.signed_knock,
                knock_id=request.knock_id,
                device_id=device.id,
                public_key_der=device.public_key,
                audience=self._audience,
            )
        except ProofRefused as refused:
            return NotProven(refused.code, refused.message)

    def _proof(self, session: Session, request: AdmitRequest) -> tuple[int | None, ClientProof | NotProven]:
        try:
            certificate = verify_userauth(request.proof, request.username, self._grants.authority)
            proof = check_issued(certificate, self._grants.certificate_within(session, certificate.serial))
        except ProofRefused as refused:
            return None, NotProven(refused.code, refused.message)
        if store.was_used(session, identifier_sha256(request), request.knock_id):
            return None, NotProven("sessions.proof_used", "This connection's proof was used before.")
        return certificate.serial, proof


def identifier_sha256(request: AdmitRequest) -> bytes:
    """What marks a connection's proof as used."""
    return hashlib.sha256(request.proof.session_identifier).digest()


def device_facts(device: Device) -> DeviceFacts:
    """A device in the judge's words."""
    return DeviceFacts(
        device_id=device.id,
        person_id=device.person_id,
        is_trusted=device.state is DeviceState.TRUSTED,
        may_take_address_from_header=device.allow_header_address,
    )


def _grant_facts(grant: Grant, target: Target) -> GrantFacts:
    return GrantFacts(
        grant_id=grant.id,
        standing=standing(grant),
        person_id=grant.person_id,
        device_id=grant.device_id,
        target_id=target.id,
        target_name=target.name,
        zone_id=target.zone_id,
        account=grant.account,
        protocol=grant.protocol,
        not_before=grant.not_before,
        not_after=grant.not_after,
        approvals=grant.approvals,
    )


def _may_hold_sessions(person: Person) -> bool:
    return person.state is PersonState.ACTIVE and person.role is Role.VENDOR_ENGINEER


def _asked_account(username: str, grant: Grant, person: Person, target: Target) -> str:
    """The account that an SSH user name means.

    `sallyport` and the person's own name mean whatever the grant is for; but a name that is an account of the target
    means that account.
    """
    if username == COMMON_PRINCIPAL:
        return grant.account
    if username == person.username and target.account_named(username) is None:
        return grant.account
    return username
