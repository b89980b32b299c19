import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from broker.identities import store
from broker.identities.model import PersonState, Role
from broker.identities.store import Face, PersonRow, SignInRow, token_hash
from broker.identities.testing import NOON, a_console_session, a_person
from tests.unit.broker.identities.world import World


def test_two_people_cannot_share_a_user_name(world: World) -> None:
    a_person(world.database, username="wang.wei")
    with pytest.raises(IntegrityError):
        a_person(world.database, username="wang.wei")


def test_a_token_is_kept_as_a_hash_only(world: World) -> None:
    person = a_person(world.database, role=Role.AUDITOR)
    cookie, _ = a_console_session(world.database, person)
    with world.database.reading() as session:
        row = store.sign_in_by_token(session, Face.PLANT, cookie)
        assert row is not None
        assert row.token_hash == token_hash(cookie)
        assert cookie not in repr(row)
        assert store.sign_in_by_token(session, Face.VENDOR, cookie) is None


def test_pages_follow_each_other(world: World) -> None:
    made = sorted(a_person(world.database).id for _ in range(3))
    with world.database.reading() as session:
        first = store.people(session, limit=2, after=None)
        second = store.people(session, limit=2, after=first[-1].id)
    assert [person.id for person in first + second] == made


def test_a_role_counts_as_held_once_somebody_was_confirmed_in_it(world: World) -> None:
    role = Role.SYSTEM_ADMINISTRATOR

    def held() -> bool:
        with world.database.reading() as session:
            return store.had_role_once(session, role)

    a_person(world.database, role=role, state=PersonState.INVITED)
    a_person(world.database, role=role, state=PersonState.UNCONFIRMED)
    a_person(world.database, role=Role.AUDITOR)
    assert not held()
    a_person(world.database, role=role, state=PersonState.SUSPENDED)
    assert held()


def test_a_confirmation_code_is_kept_for_one_person_however_it_is_typed() -> None:
    kept = store.confirmation_hash("psn_1", "ABCD-10EF")
    assert kept == store.confirmation_hash("psn_1", " abcd loef ")
    assert kept != store.confirmation_hash("psn_2", "ABCD-10EF")


def _refused(world: World, statement: str, *values: str) -> None:
    with pytest.raises(IntegrityError), world.database.unit_of_work() as unit:
        unit.session.connection().exec_driver_sql(statement, values)


@pytest.mark.parametrize("before", list(Role))
@pytest.mark.parametrize("after", list(Role))
def test_the_database_lets_nobody_change_role(world: World, before: Role, after: Role) -> None:
    person = a_person(world.database, role=before)
    if after is before:
        return
    _refused(world, "UPDATE people SET role = ? WHERE id = ?", after.value, person.id)
    company = "Acme" if after is Role.VENDOR_ENGINEER else None
    statement = "UPDATE people SET role = ?, company = ? WHERE id = ?"
    with pytest.raises(IntegrityError), world.database.unit_of_work() as unit:
        unit.session.connection().exec_driver_sql(statement, (after.value, company, person.id))


def test_the_database_lets_only_a_security_administrator_confirm(world: World) -> None:
    person = a_person(world.database, role=Role.PLANT_ADMIN, state=PersonState.UNCONFIRMED)
    statement = "UPDATE people SET confirmed_by = ?, state = 'active' WHERE id = ?"
    for role in set(Role) - {Role.SECURITY_ADMINISTRATOR}:
        _refused(world, statement, a_person(world.database, role=role).id, person.id)
    _refused(world, statement, person.id, person.id)
    _refused(world, "UPDATE people SET state = 'active' WHERE id = ?", person.id)
    security = a_person(world.database, role=Role.SECURITY_ADMINISTRATOR)
    with world.database.unit_of_work() as unit:
        unit.session.connection().exec_driver_sql("UPDATE people SET entered_by = ?", (security.id,))
    _refused(world, statement, security.id, person.id)
    another = a_person(world.database, role=Role.SECURITY_ADMINISTRATOR)
    with world.database.unit_of_work() as unit:
        unit.session.connection().exec_driver_sql(statement, (another.id, person.id))


def test_the_database_gives_every_engineer_a_company_and_nobody_else(world: World) -> None:
    _refused(world, "UPDATE people SET company = NULL WHERE id = ?", a_person(world.database).id)
    auditor = a_person(world.database, role=Role.AUDITOR)
    _refused(world, "UPDATE people SET company = 'Acme' WHERE id = ?", auditor.id)


def test_the_database_refuses_a_role_that_does_not_exist(world: World) -> None:
    person = a_person(world.database)
    with pytest.raises(IntegrityError), world.database.unit_of_work() as unit:
        unit.session.connection().exec_driver_sql("UPDATE people SET role='emperor' WHERE id=?", (person.id,))


def test_ending_a_persons_sign_ins_leaves_those_of_others(world: World) -> None:
    first, second = a_person(world.database, role=Role.AUDITOR), a_person(world.database, role=Role.AUDITOR)
    a_console_session(world.database, first)
    kept, _ = a_console_session(world.database, second)
    with world.database.unit_of_work() as unit:
        store.end_sign_ins(unit.session, first.id)
    with world.database.reading() as session:
        assert [row.token_hash for row in session.exec(select(SignInRow)).all()] == [token_hash(kept)]
        assert session.get(PersonRow, first.id) is not None
        assert session.exec(select(SignInRow)).one().started_at == NOON
