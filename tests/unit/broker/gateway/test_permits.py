"""Permits and leases are read strictly: an answer that is not whole opens nothing."""

import pytest

from broker.gateway.permits import BadAnswer, Lease, SessionPermit
from broker.gateway.testing import permit_json

LEASE: dict[str, object] = {
    "lease_id": "lse_1",
    "address": "10.0.0.1",
    "port": 22,
    "host_key": "ssh-ed25519 AAAA",
    "account": "root",
    "credential": {"kind": "password", "secret": "s3cret"},
}


def test_a_whole_permit_is_read() -> None:
    permit = SessionPermit.from_json(permit_json())
    assert permit.target_name == "plc-3"
    assert permit.channels == {"shell", "exec", "file_upload", "file_download"}
    assert permit.rules.rules[0].rule_id == "linux.recursive-removal"


@pytest.mark.parametrize("name", sorted(permit_json()))
def test_a_permit_that_lacks_a_field_is_refused(name: str) -> None:
    data = permit_json()
    del data[name]
    with pytest.raises(BadAnswer):
        SessionPermit.from_json(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [("not_after_ms", -1), ("not_after_ms", "1"), ("idle_seconds", True), ("rules", {}), ("duties", "record")],
)
def test_a_permit_with_a_wrong_field_is_refused(name: str, value: object) -> None:
    with pytest.raises(BadAnswer):
        SessionPermit.from_json({**permit_json(), name: value})


def test_a_lease_hides_its_secret() -> None:
    lease = Lease.from_json(LEASE)
    assert lease.secret.reveal() == "s3cret"
    assert "s3cret" not in repr(lease)


@pytest.mark.parametrize("credential", [None, {"kind": "ticket", "secret": "x"}, {"kind": "password"}])
def test_a_lease_without_a_usable_credential_is_refused(credential: object) -> None:
    with pytest.raises(BadAnswer):
        Lease.from_json({**LEASE, "credential": credential})
