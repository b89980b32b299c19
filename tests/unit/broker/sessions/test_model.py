from broker.kernel.sensitivity import SecretText
from broker.sessions.model import LeaseAnswer, SshProof


def test_neither_a_lease_nor_a_proof_shows_what_it_holds() -> None:
    lease = LeaseAnswer("lse_1", "10.0.0.1", 22, "key", "maint", "password", SecretText("hunter2hunter2"))
    proof = SshProof(b"certificate", b"signed", b"signature", b"identifier")
    assert "hunter2" not in repr(lease)
    assert repr(proof) == "SshProof()"
