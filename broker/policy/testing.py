"""Builders for tests: facts that the judge allows, to be changed one at a time."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from broker.policy.model import (
    Asked,
    ClientProof,
    DeviceFacts,
    Facts,
    GrantFacts,
    LiveKnock,
    PersonFacts,
    Standing,
)

NOON: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SOURCE: Final = "203.0.113.10"
_KEY: Final = sha256(b"session key").digest()


def good_facts(now: datetime = NOON) -> Facts:
    """Everything as it should be at `now`: the grant runs from an hour before to an hour after."""
    return Facts(
        permit_id="prm_1",
        asked=Asked(protocol="ssh", grant_id="grt_1", device_id="dev_1", account="operator", source=SOURCE),
        grant=GrantFacts(
            grant_id="grt_1",
            standing=Standing.LIVE,
            person_id="psn_1",
            device_id="dev_1",
            target_id="tgt_1",
            target_name="plc3",
            zone_id="zon_1",
            account="operator",
            protocol="ssh",
            not_before=now - timedelta(hours=1),
            not_after=now + timedelta(hours=1),
            approvals=1,
        ),
        person=PersonFacts(person_id="psn_1", name="Vera Vendor", is_active=True),
        device=DeviceFacts(device_id="dev_1", person_id="psn_1", is_trusted=True, may_take_address_from_header=False),
        knock=LiveKnock(
            device_id="dev_1",
            grant_id="grt_1",
            door=2,
            stamp_at=now - timedelta(seconds=2),
            address=SOURCE,
            bind=_KEY,
        ),
        proof=ClientProof(
            grant_id="grt_1",
            device_id="dev_1",
            source=SOURCE,
            valid_after=now - timedelta(minutes=1),
            valid_before=now + timedelta(minutes=10),
            key_sha256=_KEY,
        ),
    )
