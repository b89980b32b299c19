"""A device renews its certificate and its knock key without a new enrolment, and without a knock that is missed.

Offered: the new pair is in force beside the old, and stays the same however often the device asks, so that an answer
that got lost or a crash half-way locks nobody out. Concluded: the first connection that shows the new certificate voids
the old pair. The device's own key D stays: a new D is a new device, and trust in it compares a short code again.
"""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.serialization import load_der_public_key

from broker.adapters.db.database import Database, UnitOfWork
from broker.adapters.sealing import Sealer
from broker.devices import rules, store
from broker.devices.certificates import DeviceAuthority, PublicKey, device_uri
from broker.devices.errors import device_not_trusted
from broker.devices.events import DeviceRenewed, DeviceRenewing
from broker.devices.model import DayKey, DeviceState, Renewal
from broker.devices.store import DeviceRow
from broker.kernel.clock import Clock

_KEY_BYTES = 32


class DeviceRenewals:
    """The use-cases of renewal. `bound_to` is the associated data of a device's sealed knock key."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        *,
        authority: DeviceAuthority,
        day_keys: Callable[[datetime], list[DayKey]],
        bound_to: Callable[[str], bytes],
        random: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._authority = authority
        self._day_keys = day_keys
        self._bound_to = bound_to
        self._random = random

    def offer(self, device_id: str, certificate_der: bytes, source: str) -> Renewal:
        """The new certificate and knock key of a connected device. Raises Forbidden `device_not_trusted`."""
        now = self._clock.now()
        with self._database.unit_of_work() as unit:
            row = unit.session.get(DeviceRow, device_id)
            if row is None or row.state is not DeviceState.TRUSTED or not is_its_certificate(row, certificate_der, now):
                raise device_not_trusted()
            if row.next_certificate is None or row.next_knock_key_sealed is None or not _lasts(row, now):
                self._begin(unit, row, now, source)
            assert row.next_certificate is not None  # noqa: S101 - made above
            assert row.next_knock_key_sealed is not None  # noqa: S101 - made above
            return Renewal(
                device=store.device_of(row),
                certificate_pem=self._authority.chain_pem(row.next_certificate),
                knock_key=self._sealer.open(row.next_knock_key_sealed, self._bound_to(row.id)),
                day_keys=tuple(self._day_keys(now)),
            )

    def _begin(self, unit: UnitOfWork, row: DeviceRow, now: datetime, source: str) -> None:
        issued = self._authority.issue(
            device_uri(row.id), row.id, _public_key(row.public_key), now, rules.CERTIFICATE_VALID
        )
        row.next_certificate, row.next_certificate_not_after = issued.der, issued.not_after
        row.next_knock_key_sealed = self._sealer.seal(self._random(_KEY_BYTES), self._bound_to(row.id))
        unit.session.add(row)
        unit.emit(
            DeviceRenewing(
                actor=row.person_id,
                subject=row.id,
                person_id=row.person_id,
                certificate_sha256=hashlib.sha256(issued.der).hexdigest(),
                source=source,
            )
        )

    def conclude(self, device_id: str, certificate_der: bytes) -> bool:
        """Void the old pair if the device has just shown its new certificate; whether it was so."""
        with self._database.unit_of_work() as unit:
            row = unit.session.get(DeviceRow, device_id)
            if (
                row is None
                or row.next_certificate is None
                or row.next_knock_key_sealed is None
                or row.next_certificate_not_after is None
                or not hmac.compare_digest(row.next_certificate, certificate_der)
            ):
                return False
            row.certificate, row.certificate_not_after = row.next_certificate, row.next_certificate_not_after
            row.knock_key_sealed = row.next_knock_key_sealed
            row.next_certificate = row.next_certificate_not_after = row.next_knock_key_sealed = None
            unit.session.add(row)
            unit.emit(
                DeviceRenewed(
                    actor=row.id,
                    subject=row.id,
                    person_id=row.person_id,
                    certificate_sha256=hashlib.sha256(row.certificate).hexdigest(),
                )
            )
            return True


def is_its_certificate(row: DeviceRow, certificate_der: bytes, now: datetime) -> bool:
    """Whether this is a certificate of the device that is in force and not expired: the registered or the next one."""
    current = hmac.compare_digest(row.certificate, certificate_der) and row.certificate_not_after > now
    return current or is_its_next_certificate(row, certificate_der, now)


def is_its_next_certificate(row: DeviceRow, certificate_der: bytes, now: datetime) -> bool:
    """Whether this is the certificate that a renewal has given it."""
    return (
        row.next_certificate is not None
        and _lasts(row, now)
        and hmac.compare_digest(row.next_certificate, certificate_der)
    )


def _lasts(row: DeviceRow, now: datetime) -> bool:
    return row.next_certificate_not_after is not None and row.next_certificate_not_after > now


def _public_key(der: bytes) -> PublicKey:
    key = load_der_public_key(der)
    if not isinstance(key, PublicKey):
        raise TypeError("a device's public key is of another kind")
    return key
