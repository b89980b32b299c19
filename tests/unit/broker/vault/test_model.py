from broker.kernel.sensitivity import SecretText
from broker.vault.model import CredentialKind, Lease


def test_a_lease_prints_no_secret() -> None:
    lease = Lease(
        lease_id="lse_1",
        session_id="ses_1",
        credential_id="crd_1",
        kind=CredentialKind.PASSWORD,
        secret=SecretText("hunter2-hunter2"),
        target_id="tgt_1",
        address="10.20.0.4",
        port=22,
        host_key="ssh-ed25519 AAAA",
        account="maint",
    )
    assert "hunter2" not in repr(lease)
    assert "***" in repr(lease)
