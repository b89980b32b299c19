from broker.grants.model import IssuedCertificate, LiveGrant
from tests.unit.broker.grants.test_rules import NOON


def test_values_are_facts_and_cannot_be_changed() -> None:
    live = LiveGrant("grt_1", bytes(16), 2, NOON, NOON)
    issued = IssuedCertificate("line", 1, NOON)
    assert hash(live) == hash(LiveGrant("grt_1", bytes(16), 2, NOON, NOON))
    assert hash(issued)
