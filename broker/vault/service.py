"""Storing credentials, and leasing one to one session for one target."""

from datetime import datetime
from typing import Final

import asyncssh
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
from sqlmodel import Session

from broker.adapters.db.database import Database, UnitOfWork
from broker.adapters.sealing import SealBroken, Sealer, associated_data
from broker.kernel.clock import Clock
from broker.kernel.ids import new_id
from broker.kernel.sensitivity import SecretText
from broker.targets.model import Account, Target
from broker.targets.service import TargetService
from broker.vault.errors import account_not_found, detached, lease_spent, no_credential, secret_unfit
from broker.vault.events import CredentialDestroyed, CredentialLeased, CredentialPut
from broker.vault.model import Credential, CredentialKind, CredentialState, Lease
from broker.vault.store import CredentialRow, LeaseRow, current_credential, lease_of_session, sessions_with

_LONGEST_PASSWORD: Final = 1024
_LONGEST_KEY: Final = 16 * 1024


class VaultService:
    """The site's credentials. Secrets come in by `put_credential` and leave only as a `Lease`."""

    def __init__(self, database: Database, clock: Clock, sealer: Sealer, targets: TargetService) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._targets = targets

    def put_credential(
        self, actor: str, target_id: str, account: str, kind: CredentialKind, secret: SecretText
    ) -> Credential:
        """Store the secret of an account, bound to the target as it is now; an earlier secret of the account is erased.

        Raises NotFound for an unknown target or account, Conflict `targets.retired`, Invalid `vault.secret_unfit` for a
        password that is empty, too long or holds control characters, and for a private key that is no OpenSSH or PEM
        key without passphrase.
        """
        fault = _fault_of(kind, secret)
        if fault is not None:
            raise secret_unfit(fault)
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            target = self._targets.in_use_within(unit.session, target_id)
            owner = target.account_named(account)
            if owner is None:
                raise account_not_found()
            earlier = current_credential(unit.session, owner.id)
            if earlier is not None:
                _erase(unit.session, earlier, now)
            credential_id = new_id("crd", now)
            bound_to = _bound_to(credential_id, target, owner)
            row = CredentialRow(
                id=credential_id,
                target_id=target.id,
                account_id=owner.id,
                kind=kind,
                sealed=self._sealer.seal(secret.reveal().encode(), bound_to),
                created_by=actor,
                created_at=now,
            )
            unit.session.add(row)
            unit.emit(
                CredentialPut(
                    actor=actor,
                    subject=credential_id,
                    target_id=target.id,
                    account=owner.username,
                    kind=kind.value,
                    replaces=earlier.id if earlier is not None else None,
                )
            )
        return Credential(credential_id, target.id, owner.id, owner.username, kind, now)

    def destroy_credentials_of(self, actor: str, target_id: str) -> int:
        """Erase every secret held for a target; returns how many. Raises NotFound."""
        now, destroyed = self._clock.now(), 0
        with self._database.unit_of_work() as unit:
            for account in self._targets.get_within(unit.session, target_id).accounts:
                row = current_credential(unit.session, account.id)
                if row is not None:
                    _erase(unit.session, row, now)
                    unit.emit(
                        CredentialDestroyed(actor=actor, subject=row.id, target_id=target_id, account=account.username)
                    )
                    destroyed += 1
        return destroyed

    def lease(self, session_id: str, target_id: str, account: str, *, actor: str = "system:sessions") -> Lease:
        """Give a session its credential, in a transaction of its own; otherwise as `lease_within`."""
        with self._database.unit_of_work() as unit:
            return self.lease_within(unit, session_id, target_id, account, actor=actor)

    def lease_within(
        self, unit: UnitOfWork, session_id: str, target_id: str, account: str, *, actor: str = "system:sessions"
    ) -> Lease:
        """Give a session its credential within the caller's transaction, and record it.

        Raises Conflict `vault.lease_spent` when the session was given one before, NotFound `vault.no_credential`,
        Conflict `vault.detached` when the target's address, port or host key is no longer what the secret was bound to,
        and Conflict `targets.retired`.
        """
        if lease_of_session(unit.session, session_id) is not None:
            raise lease_spent()
        target = self._targets.in_use_within(unit.session, target_id)
        owner = target.account_named(account)
        if owner is None:
            raise account_not_found()
        credential = current_credential(unit.session, owner.id)
        if credential is None:
            raise no_credential()
        secret = self.open_for(unit.session, credential.id)
        now = self._clock.now()
        lease_id = new_id("lse", now)
        unit.session.add(LeaseRow(id=lease_id, session_id=session_id, credential_id=credential.id, at=now))
        unit.emit(
            CredentialLeased(
                actor=actor,
                subject=lease_id,
                credential_id=credential.id,
                session_id=session_id,
                target_id=target.id,
                account=owner.username,
            )
        )
        return Lease(
            lease_id=lease_id,
            session_id=session_id,
            credential_id=credential.id,
            kind=credential.kind,
            secret=secret,
            target_id=target.id,
            address=target.address,
            port=target.port,
            host_key=target.host_key,
            account=owner.username,
        )

    def sessions_with(self, credential_id: str) -> list[str]:
        """The sessions, running or over, that were given this credential."""
        with self._database.reading() as session:
            return sessions_with(session, credential_id)

    def open_for(self, session: Session, credential_id: str) -> SecretText:
        """Open a credential for its target as the target is now.

        Raises NotFound `vault.no_credential` and Conflict `vault.detached`.
        """
        row = session.get(CredentialRow, credential_id)
        if row is None or row.replaced_at is not None:
            raise no_credential()
        target = self._targets.get_within(session, row.target_id)
        owner = next((account for account in target.accounts if account.id == row.account_id), None)
        if owner is None:
            raise no_credential()
        try:
            return SecretText(self._sealer.open(row.sealed, _bound_to(row.id, target, owner)).decode())
        except SealBroken:
            raise detached() from None

    def states(self, target_id: str) -> list[tuple[str, CredentialState]]:
        """Of each account of a target, by its name, whether its credential is there and opens. Raises NotFound."""
        with self._database.reading() as session:
            target = self._targets.get_within(session, target_id)
            found = []
            for account in target.accounts:
                state = CredentialState.ABSENT
                if current_credential(session, account.id) is not None:
                    attached = self.is_attached(session, target, account.username)
                    state = CredentialState.BOUND if attached else CredentialState.DETACHED
                found.append((account.username, state))
            return found

    def is_attached(self, session: Session, target: Target, account: str) -> bool:
        """Whether a credential of this account exists and opens for the target as it is now."""
        owner = target.account_named(account)
        row = current_credential(session, owner.id) if owner is not None else None
        if row is None or owner is None:
            return False
        try:
            self._sealer.open(row.sealed, _bound_to(row.id, target, owner))
        except SealBroken:
            return False
        return True


def _erase(session: Session, row: CredentialRow, at: datetime) -> None:
    row.replaced_at, row.sealed = at, b""
    session.add(row)


def _bound_to(credential_id: str, target: Target, account: Account) -> bytes:
    """Everything a secret must not be moved away from: another value of any of these, and it does not open."""
    return associated_data(
        "target credential",
        {
            "credential_id": credential_id,
            "account_id": account.id,
            "account": account.username,
            "target_id": target.id,
            "address": target.address,
            "port": str(target.port),
            "protocol": target.protocol.value,
            "host_key": target.host_key,
        },
    )


def _fault_of(kind: CredentialKind, secret: SecretText) -> str | None:
    text = secret.reveal()
    match kind:
        case CredentialKind.PASSWORD:
            if not text or len(text) > _LONGEST_PASSWORD:
                return "length"
            return "control_characters" if any(ord(character) < 32 for character in text) else None
        case CredentialKind.PRIVATE_KEY:
            if not text or len(text) > _LONGEST_KEY:
                return "length"
            return _fault_of_private_key(text)


def _fault_of_private_key(text: str) -> str | None:
    try:
        key = asyncssh.import_private_key(text)
    except (asyncssh.KeyImportError, ValueError):
        return "passphrase" if _has_passphrase(text) else "no_private_key"
    return "algorithm" if key.get_algorithm() == "ssh-dss" else None


def _has_passphrase(text: str) -> bool:
    load = load_ssh_private_key if "OPENSSH PRIVATE KEY" in text else load_pem_private_key
    try:
        load(text.encode(), password=None)
    except TypeError:
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False
    return False
