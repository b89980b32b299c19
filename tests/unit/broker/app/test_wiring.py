from broker.app import wiring
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import Settings


def test_the_site_tells_clients_what_its_settings_say(house: House, settings: Settings) -> None:
    facts = wiring.site_facts(settings, Layout.of(settings))
    assert (facts.vendor_face.host, facts.vendor_face.port) == ("203.0.113.10", 443)
    assert facts.ssh.port == 22
    assert facts == house.devices.facts


def test_the_first_administrator_can_be_made_and_is_on_the_trail(house: House) -> None:
    token = house.people.first_administrator("chief")
    assert len(token.reveal()) >= 20
    assert house.reactions.deliver_pending() == 0
