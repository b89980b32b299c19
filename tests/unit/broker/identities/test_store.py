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


def test_an_administrator_counts_only_while_active(world: World) -> None:
    with world.database.reading() as session:
        assert not store.has_active_administrator(session)
    a_person(world.database, role=Role.SYSTEM_ADMINISTRATOR, state=PersonState.INVITED)
    with world.database.reading() as session:
        assert not store.has_active_administrator(session)
    a_person(world.database, role=Role.SYSTEM_ADMINISTRATOR)
    with world.database.reading() as session:
        assert store.has_active_administrator(session)


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
