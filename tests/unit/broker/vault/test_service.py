import asyncssh
import pytest

from broker.identities.model import Role
from broker.kernel.errors import Conflict, Invalid, NotFound
from broker.kernel.sensitivity import SecretText
from broker.targets.model import Target
from broker.targets.testing import a_host_key, a_target
from broker.vault.model import Credential, CredentialKind
from tests.unit.broker.identities.world import World

SECRET = "swordfish-9-swordfish"


def put(world: World, target: Target, secret: str = SECRET, account: str = "maint") -> Credential:
    actor = world.somebody(Role.SECURITY_ADMINISTRATOR).id
    return world.vault.put_credential(actor, target.id, account, CredentialKind.PASSWORD, SecretText(secret))


def test_a_session_is_given_the_secret_with_the_target_it_is_bound_to(world: World) -> None:
    target = a_target(world.database)
    credential = put(world, target)
    lease = world.vault.lease("ses_1", target.id, "maint")
    assert lease.secret.reveal() == SECRET
    assert (lease.credential_id, lease.account) == (credential.id, "maint")
    assert (lease.address, lease.port, lease.host_key) == (target.address, target.port, target.host_key)
    assert world.codes() == ["vault.credential.put", "vault.credential.leased"]


def test_a_secret_is_nowhere_but_in_the_lease(world: World) -> None:
    target = a_target(world.database)
    credential = put(world, target)
    lease = world.vault.lease("ses_1", target.id, "maint")
    assert SECRET not in repr([credential, lease, world.trail()])
    with world.database.reading() as session:
        for table in ("credentials", "leases", "audit_events"):
            stored = repr(session.connection().exec_driver_sql(f"SELECT * FROM {table}").all())  # noqa: S608
            assert SECRET not in stored


def test_a_session_is_given_its_secret_once(world: World) -> None:
    target = a_target(world.database)
    put(world, target)
    world.vault.lease("ses_1", target.id, "maint")
    with pytest.raises(Conflict) as refusal:
        world.vault.lease("ses_1", target.id, "maint")
    assert refusal.value.code == "vault.lease_spent"
    world.vault.lease("ses_2", target.id, "maint")


@pytest.mark.parametrize(
    "change",
    [
        {"address": "10.20.0.66"},
        {"port": 2222},
        {"host_key": a_host_key(66)},
    ],
)
def test_a_moved_or_repinned_target_gets_no_secret_until_it_is_stored_again(
    world: World, change: dict[str, object]
) -> None:
    target = a_target(world.database)
    credential = put(world, target)
    where: dict[str, object] = {"address": target.address, "port": target.port, "host_key": target.host_key}
    world.targets.change_endpoint("psn_actor", target.id, **(where | change))  # type: ignore[arg-type]
    with pytest.raises(Conflict) as refusal:
        world.vault.lease("ses_1", target.id, "maint")
    assert refusal.value.code == "vault.detached"
    with world.database.reading() as session:
        assert not world.vault.is_attached(session, world.targets.get(target.id), "maint")
        with pytest.raises(Conflict):
            world.vault.open_for(session, credential.id)
    assert "vault.credential.leased" not in world.codes()
    put(world, target)
    assert world.vault.lease("ses_1", target.id, "maint").secret.reveal() == SECRET


def test_a_sealed_secret_moved_to_another_account_does_not_open(world: World) -> None:
    target = a_target(world.database, accounts=("maint", "root"))
    put(world, target)
    root = target.account_named("root")
    assert root is not None
    with world.database.unit_of_work() as unit:
        unit.session.connection().exec_driver_sql("UPDATE credentials SET account_id=?", (root.id,))
    with pytest.raises(Conflict):
        world.vault.lease("ses_1", target.id, "root")


def test_a_replaced_secret_does_not_open(world: World) -> None:
    target = a_target(world.database)
    first = put(world, target, "first-secret")
    put(world, target, "second-secret")
    assert world.vault.lease("ses_1", target.id, "maint").secret.reveal() == "second-secret"
    with world.database.reading() as session, pytest.raises(NotFound):
        world.vault.open_for(session, first.id)
    assert world.trail()[1].params["replaces"] == first.id


def test_without_a_secret_or_account_there_is_no_lease(world: World) -> None:
    target = a_target(world.database)
    with pytest.raises(NotFound) as refusal:
        world.vault.lease("ses_1", target.id, "maint")
    assert refusal.value.code == "vault.no_credential"
    with pytest.raises(NotFound):
        world.vault.lease("ses_1", target.id, "root")
    with pytest.raises(NotFound):
        put(world, target, account="root")
    with world.database.reading() as session:
        assert not world.vault.is_attached(session, target, "maint")
        assert not world.vault.is_attached(session, target, "root")


def test_a_private_key_is_taken_when_it_opens_without_a_passphrase(world: World) -> None:
    target = a_target(world.database)
    actor = world.somebody(Role.SECURITY_ADMINISTRATOR).id
    key = asyncssh.generate_private_key("ssh-ed25519")
    for text in (key.export_private_key("openssh").decode(), key.export_private_key("pkcs8-pem").decode()):
        world.vault.put_credential(actor, target.id, "maint", CredentialKind.PRIVATE_KEY, SecretText(text))
    lease = world.vault.lease("ses_1", target.id, "maint")
    assert asyncssh.import_private_key(lease.secret.reveal()).public_data == key.public_data
    assert lease.kind is CredentialKind.PRIVATE_KEY


def test_what_is_no_usable_secret_is_refused_without_saying_it(world: World) -> None:
    target = a_target(world.database)
    key = asyncssh.generate_private_key("ssh-ed25519")
    locked = key.export_private_key("pkcs8-pem", passphrase="let me in").decode()
    public = key.export_public_key("openssh").decode()
    cases = [
        (CredentialKind.PASSWORD, "", "length"),
        (CredentialKind.PASSWORD, "x" * 1025, "length"),
        (CredentialKind.PASSWORD, "line\nbreak", "control_characters"),
        (CredentialKind.PRIVATE_KEY, "no key at all", "no_private_key"),
        (CredentialKind.PRIVATE_KEY, public, "no_private_key"),
        (CredentialKind.PRIVATE_KEY, locked, "passphrase"),
        (CredentialKind.PRIVATE_KEY, "x" * 20000, "length"),
    ]
    for kind, secret, fault in cases:
        with pytest.raises(Invalid) as refusal:
            world.vault.put_credential("psn_actor", target.id, "maint", kind, SecretText(secret))
        assert refusal.value.params == {"fault": fault}
        assert not secret or secret not in str(refusal.value)


def test_a_retired_target_gets_no_secret_and_takes_none(world: World) -> None:
    target = a_target(world.database)
    put(world, target)
    world.targets.retire("psn_sec", target.id)
    for refused in (lambda: world.vault.lease("ses_1", target.id, "maint"), lambda: put(world, target)):
        with pytest.raises(Conflict) as refusal:
            refused()
        assert refusal.value.code == "targets.retired"


def test_the_secrets_of_a_retired_target_are_erased_once(world: World) -> None:
    target = a_target(world.database, accounts=("maint", "operator", "viewer"))
    kept = a_target(world.database, name="press-5")
    credentials = [put(world, target), put(world, target, account="operator")]
    put(world, kept)
    world.targets.retire("psn_sec", target.id)
    assert [world.vault.destroy_credentials_of("psn_sec", target.id) for _ in range(2)] == [2, 0]
    told = [one for one in world.trail() if one.code == "vault.credential.destroyed"]
    assert [one.subject for one in told] == [one.id for one in credentials]
    assert {one.actor for one in told} == {"psn_sec"}
    with world.database.reading() as session:
        stored = session.connection().exec_driver_sql("SELECT length(sealed) FROM credentials ORDER BY target_id, id")
        assert sorted(length > 0 for (length,) in stored) == [False, False, True]
        with pytest.raises(NotFound):
            world.vault.open_for(session, credentials[0].id)
    assert world.vault.lease("ses_2", kept.id, "maint").secret.reveal() == SECRET
