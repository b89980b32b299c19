"""The contract's values: they compare, and they hold no secret in their text."""

from broker.gateway import contract as c
from broker.gateway.permits import Lease, Secret


def test_an_event_with_a_lease_does_not_show_the_secret() -> None:
    lease = Lease("lse_1", "10.0.0.1", 22, "ssh-ed25519 AAAA", "root", "password", Secret("hunter2"))
    assert "hunter2" not in repr(c.Leased(lease)) + repr(c.Dial(lease)) + str(lease.secret)


def test_events_of_equal_values_are_equal() -> None:
    assert c.ClientBytes(1, b"x") == c.ClientBytes(1, b"x")
    assert c.ClientBytes(1, b"x") != c.ClientBytes(2, b"x")
