"""Entering zones and targets, changing where a target is, and finding them."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlmodel import Session, col, select

from broker.adapters.db.database import Database
from broker.kernel.clock import Clock
from broker.kernel.ids import new_id
from broker.targets import rules, store
from broker.targets.errors import name_kept, name_taken, retired, target_not_found, unfit, zone_not_found
from broker.targets.events import TargetCreated, TargetEndpointChanged, TargetRetired, ZoneCreated
from broker.targets.model import Protocol, Target, Zone
from broker.targets.store import AccountRow, TargetRow, ZoneRow

_MOST_ACCOUNTS: Final = 50


class TargetService:
    """The plant's machines as the broker knows them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create_zone(self, actor: str, name: str) -> Zone:
        """Name a zone.

        Raises Invalid `targets.unfit` and Conflict `targets.name_taken`.
        """
        zone = Zone(new_id("zon", self._clock.now()), rules.checked_zone_name(name), self._clock.now())
        with self._database.unit_of_work() as unit:
            if store.zone_named(unit.session, zone.name) is not None:
                raise name_taken("zone")
            unit.session.add(ZoneRow(id=zone.id, name=zone.name, created_at=zone.created_at))
            unit.emit(ZoneCreated(actor=actor, subject=zone.id, name=zone.name))
        return zone

    def zones(self, *, limit: int = 200, after: str | None = None) -> list[Zone]:
        """Zones in the order they were made in, those after the id `after`."""
        with self._database.reading() as session:
            return store.zones(session, limit=limit, after=after)

    def create_target(
        self,
        actor: str,
        *,
        name: str,
        zone_id: str,
        address: str,
        port: int,
        protocol: Protocol,
        host_key: str,
        description: str,
        accounts: Sequence[str],
    ) -> Target:
        """Enter a machine with its host key pinned and its accounts.

        Raises Invalid `targets.unfit`, NotFound for the zone, Conflict `targets.name_taken`, and Conflict
        `targets.name_kept` for the name of a retired target.
        """
        now = self._clock.now()
        row = TargetRow(
            id=new_id("tgt", now),
            name=rules.checked_label(name),
            zone_id=zone_id,
            address=rules.checked_address(address),
            port=rules.checked_port(port),
            protocol=protocol,
            host_key=rules.checked_host_key(host_key),
            description=rules.checked_description(description),
            created_at=now,
        )
        usernames = [rules.checked_account(account) for account in accounts]
        if not usernames or len(usernames) > _MOST_ACCOUNTS or len(set(usernames)) != len(usernames):
            raise unfit("accounts", f"A target has 1 to {_MOST_ACCOUNTS} accounts, each once.")
        with self._database.unit_of_work() as unit:
            if unit.session.get(ZoneRow, zone_id) is None:
                raise zone_not_found()
            namesake = store.target_named(unit.session, row.name)
            if namesake is not None:
                raise name_taken("target") if namesake.retired_at is None else name_kept()
            unit.session.add(row)
            unit.session.flush()
            for username in usernames:
                unit.session.add(AccountRow(id=new_id("acc", now), target_id=row.id, username=username))
            unit.session.flush()
            unit.emit(
                TargetCreated(
                    actor=actor,
                    subject=row.id,
                    name=row.name,
                    zone_id=row.zone_id,
                    address=row.address,
                    port=row.port,
                    protocol=row.protocol.value,
                    host_key_sha256=rules.fingerprint(row.host_key),
                )
            )
            return store.targets_of(unit.session, [row])[0]

    def change_endpoint(self, actor: str, target_id: str, *, address: str, port: int, host_key: str) -> Target:
        """Move a target, or pin another host key. Its credentials no longer open until they are stored again.

        Raises Invalid `targets.unfit`, NotFound, and Conflict `targets.retired`.
        """
        address, port, host_key = (
            rules.checked_address(address),
            rules.checked_port(port),
            rules.checked_host_key(host_key),
        )
        with self._database.unit_of_work() as unit:
            row = _row_in_use(unit.session, target_id)
            if (row.address, row.port, row.host_key) != (address, port, host_key):
                unit.emit(
                    TargetEndpointChanged(
                        actor=actor,
                        subject=row.id,
                        name=row.name,
                        address_before=row.address,
                        address=address,
                        port_before=row.port,
                        port=port,
                        host_key_sha256_before=rules.fingerprint(row.host_key),
                        host_key_sha256=rules.fingerprint(host_key),
                    )
                )
                row.address, row.port, row.host_key = address, port, host_key
                unit.session.add(row)
                unit.session.flush()
            return store.targets_of(unit.session, [row])[0]

    def retire(self, actor: str, target_id: str) -> Target:
        """Take a target out of use for good, as when the machine is no longer there.

        From this transaction on nothing is asked for, approved, admitted or leased there; its sessions and grants then
        end and its credentials are destroyed. Its requests, sessions and recordings stay readable, and it keeps its
        name for good: a later machine of the same name would be taken for it in every one of them. Raises NotFound and
        Conflict `targets.retired`.
        """
        with self._database.unit_of_work() as unit:
            row = _row_in_use(unit.session, target_id)
            row.retired_at = self._clock.now()
            unit.session.add(row)
            unit.emit(TargetRetired(actor=actor, subject=row.id, name=row.name, address=row.address, port=row.port))
            return store.targets_of(unit.session, [row])[0]

    def targets(self, *, limit: int = 200, after: str | None = None, only_in_use: bool = False) -> list[Target]:
        """Targets in the order they were made in, those after the id `after`."""
        with self._database.reading() as session:
            return store.targets_of(
                session, store.target_rows(session, limit=limit, after=after, only_in_use=only_in_use)
            )

    def get(self, target_id: str) -> Target:
        """One target.

        Raises NotFound.
        """
        with self._database.reading() as session:
            return self.get_within(session, target_id)

    def named(self, name: str) -> Target:
        """The target of that name.

        Raises NotFound.
        """
        with self._database.reading() as session:
            return self.named_within(session, name)

    def get_within(self, session: Session, target_id: str) -> Target:
        """One target, read in the caller's transaction.

        Raises NotFound.
        """
        row = session.get(TargetRow, target_id)
        if row is None:
            raise target_not_found()
        return store.targets_of(session, [row])[0]

    def in_use_within(self, session: Session, target_id: str) -> Target:
        """One target, kept from being retired until the caller's transaction ends.

        Raises NotFound, and Conflict `targets.retired`.
        """
        row = session.get(TargetRow, target_id, with_for_update={"read": True})
        if row is None:
            raise target_not_found()
        if row.retired_at is not None:
            raise retired()
        return store.targets_of(session, [row])[0]

    def named_within(self, session: Session, name: str) -> Target:
        """The target of that name, read in the caller's transaction.

        Raises NotFound.
        """
        row = store.target_named(session, name)
        if row is None:
            raise target_not_found()
        return store.targets_of(session, [row])[0]

    def several_within(self, session: Session, target_ids: Collection[str]) -> dict[str, Target]:
        """Those of these targets that exist, by id, read in the caller's transaction."""
        rows = session.exec(select(TargetRow).where(col(TargetRow.id).in_(target_ids))).all()
        return {target.id: target for target in store.targets_of(session, rows)}


def _row_in_use(session: Session, target_id: str) -> TargetRow:
    row = session.get(TargetRow, target_id, with_for_update=True)
    if row is None:
        raise target_not_found()
    if row.retired_at is not None:
        raise retired()
    return row
