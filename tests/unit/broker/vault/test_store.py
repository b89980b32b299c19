import pytest
from sqlalchemy.exc import IntegrityError

from broker.identities.model import Role
from broker.kernel.ids import new_id
from broker.kernel.sensitivity import SecretText
from broker.targets.testing import NOON, a_target
from broker.vault import store
from broker.vault.model import CredentialKind
from tests.unit.broker.identities.world import World


def test_a_session_has_one_lease(world: World) -> None:
    target = a_target(world.database)
    actor = world.somebody(Role.SECURITY_ADMINISTRATOR).id
    held = world.vault.put_credential(actor, target.id, "maint", CredentialKind.PASSWORD, SecretText("swordfish"))

    def lease() -> store.LeaseRow:
        return store.LeaseRow(id=new_id("lse", NOON), session_id="ses_1", credential_id=held.id, at=NOON)

    with world.database.unit_of_work() as unit:
        unit.session.add(lease())
    with pytest.raises(IntegrityError), world.database.unit_of_work() as unit:
        unit.session.add(lease())
    with world.database.reading() as session:
        assert store.lease_of_session(session, "ses_1") is not None
        assert store.lease_of_session(session, "ses_2") is None


def test_the_newest_credential_is_the_one_in_use(world: World) -> None:
    target = a_target(world.database)
    actor = world.somebody(Role.SECURITY_ADMINISTRATOR).id
    account_id = target.accounts[0].id
    with world.database.reading() as session:
        assert store.current_credential(session, account_id) is None
    for secret in ("first", "second"):
        held = world.vault.put_credential(actor, target.id, "maint", CredentialKind.PASSWORD, SecretText(secret))
    with world.database.reading() as session:
        current = store.current_credential(session, account_id)
        assert current is not None
        assert current.id == held.id
        erased = session.connection().exec_driver_sql("SELECT sealed FROM credentials WHERE replaced_at IS NOT NULL")
        assert erased.scalar_one() == b""
