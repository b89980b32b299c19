import dataclasses

import pytest

from broker.devices.model import RosterDevice
from broker.devices.testing import NOON, site_facts, some_authorities


def test_a_roster_entry_does_not_print_its_knock_key() -> None:
    entry = RosterDevice("dev_1", b"\x42" * 32, b"", 1, True, (1,), NOON)
    assert "BBBB" not in repr(entry)


def test_a_site_needs_an_audience_of_eight_bytes_and_a_knock_port() -> None:
    facts = site_facts(some_authorities())
    with pytest.raises(ValueError, match="8 bytes"):
        dataclasses.replace(facts, audience_hex="00")
    with pytest.raises(ValueError, match="knock port"):
        dataclasses.replace(facts, knock_ports=())
