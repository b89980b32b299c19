from broker.devices.invite_text import PREFIX
from broker.identities.model import Role
from broker.kernel.clock import milliseconds
from spa_knock.client.invite import parse_invite
from spa_knock.wire.keys import day_at, day_key
from tests.unit.broker.identities.world import SITE_KEY, World


def test_the_client_reads_the_invite_that_control_makes(world: World) -> None:
    engineer = world.somebody()
    invite = world.devices.enrolments.invite(world.somebody(Role.PLANT_ADMIN).id, engineer.id)
    assert invite.text.startswith(PREFIX)
    assert "\n" not in invite.text
    read = parse_invite(invite.text)
    assert read.device_id == invite.id
    assert read.expires_at_ms == milliseconds(invite.expires_at)
    today = day_at(int(world.clock.now().timestamp()))
    assert sorted(read.day_keys) == list(range(today, today + 31))
    assert read.day_keys[today] == day_key(SITE_KEY, today)
    (entry,) = world.devices.roster_devices()
    assert read.knock_key == entry.knock_key
    assert read.certificate_pem.count("BEGIN CERTIFICATE") == 2
