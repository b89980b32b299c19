import re
from datetime import timedelta

import pytest

from broker.identities.model import Language, Person, PersonState, Role
from broker.identities.sign_in import Credentials
from broker.identities.testing import PASSWORD, a_console_session, code_at
from broker.kernel.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated
from broker.kernel.sensitivity import SecretText
from tests.unit.broker.identities.world import World

SOURCE = "10.0.0.9"


def activated(world: World, token: str) -> tuple[str | None, str]:
    """Whoever holds the token chooses the factors: the code to be read aloud, and the authenticator's seed."""
    seed = world.people.begin_activation(token, SOURCE).totp_secret.reveal()
    code = world.people.complete_activation(
        token, SecretText(PASSWORD), SecretText(code_at(world.clock.now(), seed)), SOURCE
    )
    return (code.reveal() if code is not None else None), seed


def entered(world: World, actor: Person, role: Role = Role.PLANT_ADMIN, username: str = "lin") -> tuple[Person, str]:
    made = world.people.create_person(
        actor.id, username=username, display_name="Lin", role=role, company=None, language=Language.ENGLISH
    )
    return made.person, made.activation_token.reveal()


def can_sign_in(world: World, username: str, seed: str) -> bool:
    world.clock.move(timedelta(seconds=60))
    typed = Credentials(username, SecretText(PASSWORD), SecretText(code_at(world.clock.now(), seed)))
    try:
        world.sign_in.sign_in_at_console(typed, SOURCE)
    except Unauthenticated:
        return False
    return True


def test_a_person_can_sign_in_only_once_another_administrator_has_confirmed_them(world: World) -> None:
    admin, security = world.somebody(Role.SYSTEM_ADMINISTRATOR), world.somebody(Role.SECURITY_ADMINISTRATOR)
    person, token = entered(world, admin)
    code, seed = activated(world, token)
    assert code is not None
    assert re.fullmatch(r"[0-9A-Z]{4}-[0-9A-Z]{4}", code)
    assert not can_sign_in(world, "lin", seed)
    confirmed = world.confirmation.confirm(security.id, person.id, code.lower().replace("-", " "))
    assert (confirmed.state, confirmed.confirmed_by) == (PersonState.ACTIVE, security.id)
    assert world.codes()[-1] == "identities.person.confirmed"
    assert can_sign_in(world, "lin", seed)
    with pytest.raises(Conflict):
        world.confirmation.confirm(security.id, person.id, code)


def test_a_system_administrator_alone_lets_nobody_in(world: World) -> None:
    """The way in that one administrator could go: an engineer and two plant administrators of their own making."""
    admin = world.somebody(Role.SYSTEM_ADMINISTRATOR)
    for username in ("one", "two"):
        person, token = entered(world, admin, username=username)
        code, seed = activated(world, token)
        assert code is not None
        for confirmer in (admin.id, person.id):
            with pytest.raises(Forbidden):
                world.confirmation.confirm(confirmer, person.id, code)
        assert not can_sign_in(world, username, seed)
    accomplice, token = entered(world, admin, Role.SECURITY_ADMINISTRATOR, "three")
    code, _ = activated(world, token)
    with pytest.raises(Forbidden):
        world.confirmation.confirm(accomplice.id, accomplice.id, code or "")
    with pytest.raises(Forbidden):
        world.confirmation.confirm(accomplice.id, person.id, code or "")


def test_a_security_administrator_alone_takes_over_nobody(world: World) -> None:
    """Without the link there are no factors, and the code of whoever used the link is not known."""
    admin, security = world.somebody(Role.SYSTEM_ADMINISTRATOR), world.somebody(Role.SECURITY_ADMINISTRATOR)
    person, token = entered(world, admin)
    with pytest.raises(Conflict):
        world.confirmation.confirm(security.id, person.id, "0000-0000")
    activated(world, token)
    with pytest.raises(Invalid) as refusal:
        world.confirmation.confirm(security.id, person.id, "0000-0000")
    assert refusal.value.code == "identities.confirmation_code_differs"
    assert world.codes()[-1] == "identities.person.confirmation_refused"
    assert world.people.get(person.id).state is PersonState.UNCONFIRMED


def test_the_code_of_another_person_confirms_nobody(world: World) -> None:
    admin, security = world.somebody(Role.SYSTEM_ADMINISTRATOR), world.somebody(Role.SECURITY_ADMINISTRATOR)
    first, first_token = entered(world, admin, username="one")
    _, second_token = entered(world, admin, username="two")
    activated(world, first_token)
    code, _ = activated(world, second_token)
    with pytest.raises(Invalid):
        world.confirmation.confirm(security.id, first.id, code or "")


def test_many_wrong_codes_are_slowed_down(world: World) -> None:
    admin, security = world.somebody(Role.SYSTEM_ADMINISTRATOR), world.somebody(Role.SECURITY_ADMINISTRATOR)
    person, token = entered(world, admin)
    code, _ = activated(world, token)
    for _ in range(20):
        with pytest.raises(Invalid):
            world.confirmation.confirm(security.id, person.id, "0000-0000")
    with pytest.raises(TooMany):
        world.confirmation.confirm(security.id, person.id, code or "")


def test_a_reset_takes_the_factors_the_sign_ins_and_the_confirmation(world: World) -> None:
    admin, security = world.somebody(Role.SYSTEM_ADMINISTRATOR), world.somebody(Role.SECURITY_ADMINISTRATOR)
    person, token = entered(world, admin)
    code, old_seed = activated(world, token)
    world.confirmation.confirm(security.id, person.id, code or "")
    cookie, _ = a_console_session(world.database, person, world.clock.now())
    assert world.sign_in.console_session(cookie).principal.person_id == person.id
    again = world.confirmation.reset(admin.id, person.id)
    assert again.person.state is PersonState.INVITED
    with pytest.raises(Unauthenticated):
        world.sign_in.console_session(cookie)
    assert not can_sign_in(world, "lin", old_seed)
    new_code, new_seed = activated(world, again.activation_token.reveal())
    assert not can_sign_in(world, "lin", new_seed)
    with pytest.raises(Invalid):
        world.confirmation.confirm(security.id, person.id, code or "")
    world.confirmation.confirm(security.id, person.id, new_code or "")
    assert can_sign_in(world, "lin", new_seed)
    secrets = (again.activation_token.reveal(), new_code or "none", new_seed)
    assert all(secret not in repr(world.trail()) for secret in secrets)


@pytest.mark.parametrize("state", list(PersonState))
def test_every_account_can_be_reset_also_one_that_was_suspended(world: World, state: PersonState) -> None:
    admin = world.somebody(Role.SYSTEM_ADMINISTRATOR)
    person, token = entered(world, admin)
    code = activated(world, token)[0] if state is not PersonState.INVITED else None
    if state in {PersonState.ACTIVE, PersonState.SUSPENDED}:
        world.confirmation.confirm(world.somebody(Role.SECURITY_ADMINISTRATOR).id, person.id, code or "")
    if state is PersonState.SUSPENDED:
        world.people.suspend_person(admin.id, person.id)
    again = world.confirmation.reset(admin.id, person.id)
    assert (again.person.state, again.person.confirmed_by) == (PersonState.INVITED, None)
    assert world.trail()[-1].params["state_before"] == state.value
    code, _ = activated(world, again.activation_token.reveal())
    assert code is not None


def test_nobody_resets_themselves_and_nobody_who_is_not_there(world: World) -> None:
    admin = world.somebody(Role.SYSTEM_ADMINISTRATOR)
    with pytest.raises(Conflict):
        world.confirmation.reset(admin.id, admin.id)
    with pytest.raises(NotFound):
        world.confirmation.reset(admin.id, "psn_nobody")
    with pytest.raises(NotFound):
        world.confirmation.confirm(admin.id, "psn_nobody", "0000-0000")


def test_root_recovers_an_administrator_and_nobody_else(world: World) -> None:
    security = world.somebody(Role.SECURITY_ADMINISTRATOR, "sun")
    token = world.confirmation.recover("sun", " the  phone is lost ").reveal()
    assert world.people.get(security.id).state is PersonState.INVITED
    code, seed = activated(world, token)
    assert code is None
    assert can_sign_in(world, "sun", seed)
    (told,) = [one for one in world.trail() if one.code == "identities.administrator.recovered"]
    assert (told.actor, told.params["reason"]) == ("system:host", "the phone is lost")
    world.somebody(Role.PLANT_ADMIN, "lin")
    with pytest.raises(Invalid):
        world.confirmation.recover("lin", "no")
    with pytest.raises(NotFound):
        world.confirmation.recover("nobody", "no")


def test_an_engineer_who_is_reset_activates_from_the_device_without_a_confirmation(world: World) -> None:
    admin, engineer = world.somebody(Role.SYSTEM_ADMINISTRATOR), world.somebody(Role.VENDOR_ENGINEER)
    again = world.confirmation.reset(admin.id, engineer.id)
    with pytest.raises(Unauthenticated):
        world.people.begin_activation(again.activation_token.reveal(), SOURCE)
