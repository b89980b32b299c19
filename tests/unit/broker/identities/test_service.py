from datetime import timedelta

import pytest

from broker.identities.model import Language, PersonState, Role
from broker.identities.service import CreatedPerson
from broker.identities.store import ActivationRow, PersonRow
from broker.identities.testing import PASSWORD, a_person, a_vendor_connection, code_at
from broker.kernel.errors import Conflict, Invalid, NotFound, TooMany, Unauthenticated
from broker.kernel.sensitivity import SecretText
from tests.unit.broker.identities.world import World

SOURCE = "10.0.0.9"


def created(world: World, role: Role = Role.AUDITOR, username: str = "li.na") -> CreatedPerson:
    return world.people.create_person(
        "psn_actor",
        username=username,
        display_name="Li Na",
        role=role,
        company="Acme Robotics" if role is Role.VENDOR_ENGINEER else None,
        language=Language.CHINESE,
    )


def test_a_new_person_is_invited_and_the_token_is_kept_as_a_hash(world: World) -> None:
    person = created(world)
    assert person.person.state is PersonState.INVITED
    assert world.codes() == ["identities.person.created"]
    token = person.activation_token.reveal()
    assert token not in repr(person)
    with world.database.reading() as session:
        row = session.get(ActivationRow, person.person.id)
        assert row is not None
        assert token not in repr(row)
    assert all(token not in repr(record) for record in world.trail())


def test_a_user_name_is_taken_once(world: World) -> None:
    created(world)
    with pytest.raises(Conflict) as refusal:
        created(world)
    assert refusal.value.code == "identities.username_taken"


@pytest.mark.parametrize(("role", "company"), [(Role.VENDOR_ENGINEER, None), (Role.AUDITOR, "Acme")])
def test_engineers_have_a_company_and_nobody_else_does(world: World, role: Role, company: str | None) -> None:
    with pytest.raises(Invalid) as refusal:
        world.people.create_person(
            "psn_a", username="x1", display_name="X", role=role, company=company, language=Language.ENGLISH
        )
    assert refusal.value.code == "identities.company_mismatch"


def test_an_account_is_activated_by_link_password_and_code(world: World) -> None:
    token = created(world).activation_token.reveal()
    offer = world.people.begin_activation(token, SOURCE)
    assert offer.username == "li.na"
    assert offer.totp_secret.reveal() not in repr(offer)
    code = SecretText(code_at(world.clock.now(), offer.totp_secret.reveal()))
    read_aloud = world.people.complete_activation(token, SecretText(PASSWORD), code, SOURCE)
    assert world.people.people()[0].state is PersonState.UNCONFIRMED
    assert world.codes()[-1] == "identities.person.activated"
    assert read_aloud is not None
    secrets = (token, PASSWORD, offer.totp_secret.reveal(), code.reveal(), read_aloud.reveal())
    assert all(secret not in repr(world.trail()) for secret in secrets)
    with pytest.raises(Unauthenticated) as refusal:
        world.people.begin_activation(token, SOURCE)
    assert refusal.value.code == "identities.activation_refused"


def test_the_code_of_activation_cannot_be_used_again_to_sign_in(world: World) -> None:
    token = created(world).activation_token.reveal()
    offer = world.people.begin_activation(token, SOURCE)
    code = SecretText(code_at(world.clock.now(), offer.totp_secret.reveal()))
    world.people.complete_activation(token, SecretText(PASSWORD), code, SOURCE)
    with world.database.reading() as session:
        row = session.get(PersonRow, world.people.people()[0].id)
        assert row is not None
        assert row.last_totp_step is not None


def test_a_wrong_code_or_weak_password_leaves_the_token_good(world: World) -> None:
    token = created(world).activation_token.reveal()
    offer = world.people.begin_activation(token, SOURCE)
    good = SecretText(code_at(world.clock.now(), offer.totp_secret.reveal()))
    stale = SecretText(code_at(world.clock.now() - timedelta(hours=1), offer.totp_secret.reveal()))
    with pytest.raises(Invalid) as refusal:
        world.people.complete_activation(token, SecretText(PASSWORD), stale, SOURCE)
    assert refusal.value.code == "identities.wrong_code"
    with pytest.raises(Invalid) as refusal:
        world.people.complete_activation(token, SecretText("li.na is my name"), good, SOURCE)
    assert refusal.value.params == {"fault": "too_short"} or refusal.value.params == {"fault": "holds_username"}
    world.people.complete_activation(token, SecretText(PASSWORD), good, SOURCE)


def test_a_seed_shown_earlier_does_not_complete_after_a_newer_one_was_shown(world: World) -> None:
    token = created(world).activation_token.reveal()
    first = world.people.begin_activation(token, SOURCE)
    world.people.begin_activation(token, SOURCE)
    with pytest.raises(Invalid):
        world.people.complete_activation(
            token, SecretText(PASSWORD), SecretText(code_at(world.clock.now(), first.totp_secret.reveal())), SOURCE
        )


def test_an_activation_ends_after_three_days(world: World) -> None:
    token = created(world).activation_token.reveal()
    world.clock.move(timedelta(hours=72))
    with pytest.raises(Unauthenticated):
        world.people.begin_activation(token, SOURCE)


def test_completing_without_having_begun_is_refused(world: World) -> None:
    token = created(world).activation_token.reveal()
    with pytest.raises(Unauthenticated):
        world.people.complete_activation(token, SecretText(PASSWORD), SecretText("123456"), SOURCE)


def test_guessing_tokens_is_slowed_down_by_source(world: World) -> None:
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            world.people.begin_activation("guess", SOURCE)
    with pytest.raises(TooMany):
        world.people.begin_activation("guess", SOURCE)


def test_a_vendors_token_opens_nothing_at_the_plant_face_and_the_other_way_round(world: World) -> None:
    engineer = created(world, Role.VENDOR_ENGINEER, "kuka.meier")
    auditor = created(world, Role.AUDITOR, "li.na")
    with pytest.raises(Unauthenticated):
        world.people.begin_activation(engineer.activation_token.reveal(), SOURCE)
    with pytest.raises(Unauthenticated):
        world.people.activate_vendor(
            auditor.activation_token.reveal(), SecretText(PASSWORD), a_vendor_connection("dev_1"), auditor.person.id
        )


def test_an_engineer_is_activated_from_their_own_device_only(world: World) -> None:
    engineer = created(world, Role.VENDOR_ENGINEER, "kuka.meier")
    token, connection = engineer.activation_token.reveal(), a_vendor_connection("dev_1")
    with pytest.raises(Unauthenticated):
        world.people.activate_vendor(token, SecretText(PASSWORD), connection, "psn_somebody_else")
    offer = world.people.activate_vendor(token, SecretText(PASSWORD), connection, engineer.person.id)
    assert len(offer.totp_secret.reveal()) == 32
    assert world.people.get(engineer.person.id).state is PersonState.ACTIVE
    with pytest.raises(Unauthenticated):
        world.people.activate_vendor(token, SecretText(PASSWORD), connection, engineer.person.id)


def test_a_suspended_person_loses_activation_and_cannot_be_suspended_twice(world: World) -> None:
    person = created(world)
    world.people.suspend_person("psn_actor", person.person.id)
    with pytest.raises(Unauthenticated):
        world.people.begin_activation(person.activation_token.reveal(), SOURCE)
    with pytest.raises(Conflict):
        world.people.suspend_person("psn_actor", person.person.id)
    with pytest.raises(Conflict):
        world.people.suspend_person(person.person.id, person.person.id)
    with pytest.raises(NotFound):
        world.people.suspend_person("psn_actor", "psn_nobody")


@pytest.mark.parametrize("role", [Role.SYSTEM_ADMINISTRATOR, Role.SECURITY_ADMINISTRATOR])
def test_the_first_administrator_of_a_role_is_made_once(world: World, role: Role) -> None:
    first = world.people.first_administrator("root.admin", role).reveal()
    again = world.people.first_administrator("root.admin", role).reveal()
    with pytest.raises(Unauthenticated):
        world.people.begin_activation(first, SOURCE)
    offer = world.people.begin_activation(again, SOURCE)
    code = world.people.complete_activation(
        again, SecretText(PASSWORD), SecretText(code_at(world.clock.now(), offer.totp_secret.reveal())), SOURCE
    )
    assert code is None
    (person,) = world.people.people()
    assert (person.role, person.state, person.confirmed_by) == (role, PersonState.ACTIVE, "system:host")
    for gone in (False, True):
        if gone:
            world.people.suspend_person("psn_actor", person.id)
        for name in ("root.admin", "another"):
            with pytest.raises(Conflict) as refusal:
                world.people.first_administrator(name, role)
            assert refusal.value.code == "identities.administrator_exists"


def test_no_other_role_is_made_on_the_host(world: World) -> None:
    for role in set(Role) - {Role.SYSTEM_ADMINISTRATOR, Role.SECURITY_ADMINISTRATOR}:
        with pytest.raises(Invalid) as refusal:
            world.people.first_administrator("li.na", role)
        assert refusal.value.code == "identities.not_a_bootstrap_role"
    assert world.trail() == []


def test_an_account_that_an_administrator_entered_is_not_confirmed_by_the_hosts_command(world: World) -> None:
    created(world, Role.SECURITY_ADMINISTRATOR, "li.na")
    with pytest.raises(Conflict) as refusal:
        world.people.first_administrator("li.na", Role.SECURITY_ADMINISTRATOR)
    assert refusal.value.code == "identities.username_taken"


def test_the_first_administrators_name_may_not_be_anothers(world: World) -> None:
    created(world, Role.AUDITOR, "li.na")
    with pytest.raises(Conflict):
        world.people.first_administrator("li.na")


def test_choosing_the_same_language_again_writes_nothing(world: World) -> None:
    person = a_person(world.database, role=Role.AUDITOR)
    world.people.choose_language(person.id, Language.CHINESE)
    world.people.choose_language(person.id, Language.CHINESE)
    assert world.codes() == ["identities.language.chosen"]
    assert world.people.get(person.id).language is Language.CHINESE


def test_only_engineers_who_are_not_suspended_may_own_devices(world: World) -> None:
    able = a_person(world.database, state=PersonState.INVITED)
    gone = a_person(world.database, state=PersonState.SUSPENDED)
    auditor = a_person(world.database, role=Role.AUDITOR)
    assert world.people.able_owners({able.id, gone.id, auditor.id, "psn_x"}) == {able.id}
    assert world.people.display_names({able.id, "psn_x"}) == {able.id: able.display_name}
