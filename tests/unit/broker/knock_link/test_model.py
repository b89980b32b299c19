from broker.identities.testing import NOON
from broker.knock_link.model import KnockFact, RosterFacts


def test_neither_site_keys_nor_signed_knocks_are_printed() -> None:
    facts = RosterFacts("00" * 8, (b"SITEKEYSITEKEY",), (), ())
    fact = KnockFact("00", "dev_1", 1, None, "203.0.113.7", 8, NOON, b"SIGNEDKNOCK")
    assert "SITEKEY" not in repr(facts)
    assert "SIGNEDKNOCK" not in repr(fact)
