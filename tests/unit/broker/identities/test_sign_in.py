from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import select

from broker.identities.model import PersonState, Role
from broker.identities.sign_in import ConsoleSignIn, Credentials
from broker.identities.store import PersonRow, SignInRow
from broker.identities.testing import PASSWORD, a_person, a_vendor_connection, code_at
from broker.kernel.errors import Forbidden, TooMany, Unauthenticated
from broker.kernel.sensitivity import SecretText
from tests.unit.broker.identities.world import World

SOURCE = "10.0.0.9"


def typed(world: World, username: str, password: str = PASSWORD, code: str | None = None) -> Credentials:
    return Credentials(username, SecretText(password), SecretText(code or code_at(world.clock.now())))


def sign_in(world: World, username: str = "li.na") -> ConsoleSignIn:
    return world.sign_in.sign_in_at_console(typed(world, username), SOURCE)


def test_both_factors_start_a_console_session(world: World) -> None:
    person = world.somebody(Role.AUDITOR, "li.na")
    started = sign_in(world)
    found = world.sign_in.console_session(started.cookie.reveal())
    assert found.principal.person_id == person.id
    assert found.principal.permissions >= {"audit.event.read"}
    assert world.codes() == ["identities.sign_in.succeeded"]
    assert started.cookie.reveal() not in repr(started)
    assert started.session.csrf_token.reveal() not in repr(started)
    assert started.cookie.reveal() not in repr(world.trail())


@pytest.mark.parametrize(
    ("username", "password", "code", "reason"),
    [
        ("li.na", "wrong password here", None, "wrong_password"),
        ("li.na", PASSWORD, "000000", "wrong_code"),
        ("nobody", PASSWORD, None, "unknown"),
        ("kuka.meier", PASSWORD, None, "other_face"),
        ("gone", PASSWORD, None, "not_active"),
    ],
)
def test_every_failed_sign_in_gets_one_answer(
    world: World, username: str, password: str, code: str | None, reason: str
) -> None:
    world.somebody(Role.AUDITOR, "li.na")
    world.somebody(Role.VENDOR_ENGINEER, "kuka.meier")
    a_person(world.database, role=Role.AUDITOR, username="gone", state=PersonState.SUSPENDED, sealer=world.sealer)
    with pytest.raises(Unauthenticated) as refusal:
        world.sign_in.sign_in_at_console(typed(world, username, password, code), SOURCE)
    assert refusal.value.code == "identities.sign_in_refused"
    assert refusal.value.params == {}
    (record,) = world.trail()
    assert (record.code, record.params["reason"]) == ("identities.sign_in.refused", reason)
    assert password not in repr(record)


def test_a_code_is_good_for_one_use(world: World) -> None:
    world.somebody(Role.AUDITOR, "li.na")
    sign_in(world)
    with pytest.raises(Unauthenticated):
        sign_in(world)
    world.clock.move(timedelta(seconds=30))
    sign_in(world)


def test_five_failures_lock_and_the_right_password_does_not_help_until_the_lock_ends(world: World) -> None:
    world.somebody(Role.AUDITOR, "li.na")
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            world.sign_in.sign_in_at_console(typed(world, "li.na", "wrong password here"), SOURCE)
    with pytest.raises(Unauthenticated):
        sign_in(world)
    assert world.trail()[-1].params["reason"] == "locked"
    world.clock.move(timedelta(seconds=31))
    sign_in(world)
    with world.database.reading() as session:
        row = session.exec(select(PersonRow)).one()
        assert (row.failed_attempts, row.locked_until) == (0, None)


def test_many_guesses_at_once_count_one_by_one(world: World) -> None:
    world.somebody(Role.AUDITOR, "li.na")

    def guess(number: int) -> str:
        try:
            world.sign_in.sign_in_at_console(typed(world, "li.na", f"wrong password {number}"), f"10.0.0.{number}")
        except Unauthenticated as refusal:
            return refusal.code
        return "in"

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(guess, range(10))) == {"identities.sign_in_refused"}
    reasons = [record.params["reason"] for record in world.trail()]
    assert reasons.count("wrong_password") == 5
    assert reasons.count("locked") == 5


def test_a_source_that_fails_too_often_is_held_off_whoever_it_tries_to_be(world: World) -> None:
    for number in range(20):
        with pytest.raises(Unauthenticated):
            world.sign_in.sign_in_at_console(typed(world, f"nobody-{number}"), SOURCE)
    with pytest.raises(TooMany):
        world.sign_in.sign_in_at_console(typed(world, "nobody"), SOURCE)


def test_a_console_session_ends_when_idle_when_old_and_when_signed_out(world: World) -> None:
    world.somebody(Role.AUDITOR, "li.na")
    cookie = sign_in(world).cookie.reveal()
    for _ in range(24):
        world.clock.move(timedelta(minutes=29))
        world.sign_in.console_session(cookie)
    world.clock.move(timedelta(minutes=25))
    with pytest.raises(Unauthenticated) as refusal:
        world.sign_in.console_session(cookie)
    assert refusal.value.code == "not_signed_in"
    cookie = sign_in(world).cookie.reveal()
    world.clock.move(timedelta(minutes=30))
    with pytest.raises(Unauthenticated):
        world.sign_in.console_session(cookie)
    started = sign_in(world)
    world.sign_in.sign_out_of_console(started.session.principal)
    world.sign_in.sign_out_of_console(started.session.principal)
    with pytest.raises(Unauthenticated):
        world.sign_in.console_session(started.cookie.reveal())
    assert world.codes().count("identities.sign_in.ended") == 1


def test_sign_ins_that_are_over_are_forgotten(world: World) -> None:
    world.somebody(Role.AUDITOR, "li.na")
    sign_in(world)
    assert world.sign_in.forget_ended() == 0
    world.clock.move(timedelta(minutes=31))
    assert world.sign_in.forget_ended() == 1
    with world.database.reading() as session:
        assert len(session.exec(select(SignInRow)).all()) == 0


def test_suspending_a_person_ends_their_session_at_once(world: World) -> None:
    person = world.somebody(Role.AUDITOR, "li.na")
    cookie = sign_in(world).cookie.reveal()
    world.people.suspend_person("psn_actor", person.id)
    with pytest.raises(Unauthenticated):
        world.sign_in.console_session(cookie)
    with pytest.raises(Unauthenticated):
        world.clock.move(timedelta(minutes=1))
        sign_in(world)


def test_an_engineer_signs_in_on_their_own_trusted_device(world: World) -> None:
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody(username="kuka.meier")
    built = world.device_of(engineer, admin)
    connection = a_vendor_connection(built.device.id, built.device.certificate_der)
    started = world.sign_in.sign_in_at_vendor_face(typed(world, "kuka.meier"), connection)
    assert started.idle_seconds == 900
    principal = world.sign_in.vendor_principal(started.token.reveal(), connection)
    assert (principal.person_id, principal.device_id) == (engineer.id, built.device.id)
    world.sign_in.sign_out_of_vendor_face(principal)
    with pytest.raises(Unauthenticated):
        world.sign_in.vendor_principal(started.token.reveal(), connection)


def test_a_token_is_useless_on_another_device(world: World) -> None:
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody(username="kuka.meier")
    first, second = world.device_of(engineer, admin), world.device_of(engineer, admin)
    token = world.sign_in.sign_in_at_vendor_face(
        typed(world, "kuka.meier"), a_vendor_connection(first.device.id, first.device.certificate_der)
    ).token.reveal()
    for device_id, certificate in (
        (second.device.id, second.device.certificate_der),
        (first.device.id, second.device.certificate_der),
    ):
        with pytest.raises(Unauthenticated):
            world.sign_in.vendor_principal(token, a_vendor_connection(device_id, certificate))


def test_an_engineer_cannot_sign_in_on_a_colleagues_device(world: World) -> None:
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody(username="kuka.meier")
    built = world.device_of(world.somebody(username="colleague"), admin)
    with pytest.raises(Unauthenticated) as refusal:
        world.sign_in.sign_in_at_vendor_face(
            typed(world, engineer.username), a_vendor_connection(built.device.id, built.device.certificate_der)
        )
    assert refusal.value.code == "not_signed_in"
    assert world.trail()[-1].params["reason"] == "another_persons_device"


def test_a_suspended_device_ends_the_token_and_refuses_the_sign_in(world: World) -> None:
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody(username="kuka.meier")
    built = world.device_of(engineer, admin)
    connection = a_vendor_connection(built.device.id, built.device.certificate_der)
    token = world.sign_in.sign_in_at_vendor_face(typed(world, "kuka.meier"), connection).token.reveal()
    world.devices.suspend(admin.id, built.device.id)
    with pytest.raises(Forbidden) as refusal:
        world.sign_in.vendor_principal(token, connection)
    assert refusal.value.code == "device_not_trusted"
    with pytest.raises(Forbidden):
        world.sign_in.sign_in_at_vendor_face(typed(world, "kuka.meier"), connection)


def test_a_vendors_token_idles_out_after_a_quarter_of_an_hour(world: World) -> None:
    admin, engineer = world.somebody(Role.PLANT_ADMIN), world.somebody(username="kuka.meier")
    built = world.device_of(engineer, admin)
    connection = a_vendor_connection(built.device.id, built.device.certificate_der)
    token = world.sign_in.sign_in_at_vendor_face(typed(world, "kuka.meier"), connection).token.reveal()
    world.clock.move(timedelta(minutes=14))
    world.sign_in.vendor_principal(token, connection)
    world.clock.move(timedelta(minutes=15))
    with pytest.raises(Unauthenticated):
        world.sign_in.vendor_principal(token, connection)
