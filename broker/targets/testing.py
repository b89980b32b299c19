"""Builders for the tests of other domains. Nothing here is used by the product."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from broker.adapters.db.database import Database
from broker.kernel.ids import new_id
from broker.targets import store
from broker.targets.model import Protocol, Target, Zone
from broker.targets.store import AccountRow, TargetRow, ZoneRow

NOON: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def a_host_key(number: int = 1) -> str:
    """A well-formed Ed25519 host key line; another number gives another key."""
    kind = b"ssh-ed25519"
    key = number.to_bytes(32, "big")
    blob = len(kind).to_bytes(4, "big") + kind + len(key).to_bytes(4, "big") + key
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def a_zone(database: Database, name: str = "Press shop", at: datetime = NOON) -> Zone:
    """A zone."""
    row = ZoneRow(id=new_id("zon", at), name=name, created_at=at)
    with database.unit_of_work() as unit:
        unit.session.add(row)
    return store.zone_of(row)


def a_target(
    database: Database,
    *,
    name: str = "press-4",
    zone: Zone | None = None,
    address: str = "10.20.0.4",
    port: int = 22,
    host_key: str | None = None,
    accounts: Sequence[str] = ("maint",),
    at: datetime = NOON,
) -> Target:
    """A target with these accounts, in a zone of its own unless one is given."""
    zone = zone or a_zone(database, f"Zone of {name}", at)
    row = TargetRow(
        id=new_id("tgt", at),
        name=name,
        zone_id=zone.id,
        address=address,
        port=port,
        protocol=Protocol.SSH,
        host_key=host_key or a_host_key(),
        description="",
        created_at=at,
    )
    with database.unit_of_work() as unit:
        unit.session.add(row)
        unit.session.flush()
        for username in accounts:
            unit.session.add(AccountRow(id=new_id("acc", at), target_id=row.id, username=username))
        unit.session.flush()
        return store.targets_of(unit.session, [row])[0]
