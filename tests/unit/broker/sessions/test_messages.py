import base64
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gateway.permits import Lease, SessionPermit
from broker.kernel.clock import milliseconds
from broker.kernel.sensitivity import SecretText
from broker.policy.judge import judge
from broker.policy.model import Allow, Deny, NeedsApproval
from broker.policy.rules import standard_rules
from broker.policy.testing import NOON, good_facts
from broker.recordings.model import RecordingState
from broker.sessions import messages
from broker.sessions.messages import BadMessage
from broker.sessions.model import Admitted, GatewayIdentity, LeaseAnswer, OrderKind, SessionOrder
from broker.sessions.sequence_rules import Told

GATEWAY = GatewayIdentity("w1", "b1")
B64 = base64.b64encode(b"bytes").decode()
ADMIT: dict[str, object] = {
    "type": "admit",
    "protocol": "ssh",
    "knock_id": "00" * 12,
    "device_id": "dev_1",
    "grant_id": "grt_1",
    "source": "::ffff:203.0.113.7",
    "source_port": 4711,
    "username": "maint",
    "signed_knock_b64": B64,
    "proof": {
        "kind": "ssh-userauth",
        "certificate_b64": B64,
        "signed_data_b64": B64,
        "signature_b64": B64,
        "session_id_b64": B64,
    },
}
ENDED: dict[str, object] = {
    "type": "ended",
    "boot_id": "b1",
    "seq": 3,
    "session_id": "ses_1",
    "reason": "client_left",
    "ended_at_ms": milliseconds(NOON),
    "recording": {
        "state": "sealed",
        "frames": 3,
        "batches": 2,
        "bytes": 100,
        "head_sha256_hex": "ab" * 32,
        "head_signature_b64": B64,
        "sealed_at_ms": milliseconds(NOON),
    },
    "exit_status": 0,
}
REPORT: dict[str, object] = {
    "type": "report",
    "boot_id": "b1",
    "seq": 4,
    "session_id": None,
    "events": [{"code": "gateway.piggyback", "at_ms": 1, "params": {"door": 2, "source": "x", "more": None}}],
}

_values = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=2))


def test_an_admission_is_read_with_its_address_in_one_form() -> None:
    request = messages.admit_request(GATEWAY, ADMIT)
    assert (request.source, request.grant_id, request.proof.certificate) == ("203.0.113.7", "grt_1", b"bytes")
    assert messages.admit_request(GATEWAY, ADMIT | {"grant_id": None}).grant_id == ""


@given(name=st.sampled_from(sorted(ADMIT)), value=_values)
def test_no_value_of_any_field_of_an_admission_crashes(name: str, value: object) -> None:
    try:
        messages.admit_request(GATEWAY, ADMIT | {name: value})
    except BadMessage:
        return


@given(name=st.sampled_from(sorted(ENDED)), value=_values)
def test_no_value_of_any_field_of_an_end_crashes(name: str, value: object) -> None:
    try:
        messages.ended(ENDED | {name: value})
    except BadMessage:
        return


@given(name=st.sampled_from(sorted(REPORT)), value=_values)
def test_no_value_of_any_field_of_a_report_crashes(name: str, value: object) -> None:
    try:
        messages.report(REPORT | {name: value})
    except BadMessage:
        return


def test_an_end_is_read_with_its_recording() -> None:
    boot_id, seq, ended = messages.ended(ENDED)
    assert (boot_id, seq, ended.reason, ended.exit_status) == ("b1", 3, "client_left", 0)
    assert ended.recording is not None
    assert (ended.recording.state, ended.recording.head_sha256) == (RecordingState.SEALED, b"\xab" * 32)


@pytest.mark.parametrize(
    "recording",
    [
        {"state": "open"},
        {"state": "sealed", "frames": 1, "batches": 1, "bytes": 1, "sealed_at_ms": 1},
        {"state": "broken", "frames": -1, "batches": 1, "bytes": 1, "sealed_at_ms": 1},
        "sealed",
    ],
)
def test_an_end_with_half_a_recording_is_refused(recording: object) -> None:
    with pytest.raises(BadMessage):
        messages.ended(ENDED | {"recording": recording})


def test_a_broken_recording_may_have_no_head() -> None:
    broken = {"state": "broken", "frames": 0, "batches": 0, "bytes": 0, "sealed_at_ms": 1, "head_sha256_hex": ""}
    _, _, ended = messages.ended(ENDED | {"recording": broken})
    assert ended.recording is not None
    assert ended.recording.head_sha256 is None


@pytest.mark.parametrize("bad", [{"version": 3}, {"worker": ""}, {"sessions": "x"}, {"sessions": [1]}, {"type": "x"}])
def test_a_hello_of_another_kind_is_refused(bad: dict[str, object]) -> None:
    good: dict[str, object] = {"type": "hello", "version": 1, "worker": "w1", "boot_id": "b1", "sessions": ["ses_1"]}
    assert messages.hello(good).sessions == ("ses_1",)
    assert messages.hello({k: v for k, v in good.items() if k != "sessions"}).sessions == ()
    with pytest.raises(BadMessage):
        messages.hello(good | bad)


def test_the_gateway_reads_the_permit_that_the_judge_made() -> None:
    allowed = judge(good_facts(), standard_rules(), NOON)
    assert isinstance(allowed, Allow)
    answer = messages.verdict(Admitted("ses_1", "rec_1", allowed, b"u" * 32))
    assert (answer["type"], answer["verdict"], answer["session_id"]) == ("answer", "allow", "ses_1")
    permit = answer["permit"]
    assert isinstance(permit, dict)
    read = SessionPermit.from_json(permit)
    assert read.not_after_ms == milliseconds(NOON + timedelta(hours=1))
    assert (read.autonomy_seconds, read.idle_seconds, read.rules) == (300, 900, allowed.permit.rules)
    assert (read.duties, read.channels) == (
        frozenset({"record"}),
        frozenset({"shell", "exec", "file_upload", "file_download"}),
    )


def test_refusals_carry_code_and_rule() -> None:
    denied = messages.verdict(Deny(rule_id="r", policy_version="1", code="c", message="m"))
    assert denied == {"type": "answer", "verdict": "deny", "code": "c", "message": "m", "rule_id": "r"}
    waiting = messages.verdict(NeedsApproval(rule_id="r", policy_version="1", by="plant_admin"))
    assert waiting["verdict"] == "needs_approval"


def test_the_gateway_reads_the_lease() -> None:
    lease = messages.lease(LeaseAnswer("lse_1", "10.0.0.1", 22, "ssh-ed25519 x", "maint", "password", SecretText("s")))
    read = Lease.from_json(lease)
    assert (read.lease_id, read.port, read.secret.reveal()) == ("lse_1", 22, "s")


def test_an_order_is_written_as_the_link_says() -> None:
    assert messages.order(SessionOrder("ses_1", OrderKind.CUT, "call us", 7, "w1")) == {
        "type": "order",
        "order": "cut",
        "session_id": "ses_1",
        "reason": "call us",
        "epoch": 7,
    }


def test_a_lease_request_needs_whole_keys() -> None:
    recording = {
        "signing_public_b64": base64.b64encode(bytes(32)).decode(),
        "header_sha256_hex": "00" * 32,
        "path": "/x/rec_1.sallyrec",
    }
    wish = messages.lease_request({"session_id": "ses_1", "permit_id": "prm_1", "recording": recording})
    assert (wish.session_id, wish.permit_id, wish.path) == ("ses_1", "prm_1", "/x/rec_1.sallyrec")
    with pytest.raises(BadMessage):
        messages.lease_request(
            {"session_id": "ses_1", "permit_id": "prm_1", "recording": recording | {"header_sha256_hex": "00"}}
        )


@pytest.mark.parametrize(
    ("ping", "told"),
    [
        ({"boot_id": "b1", "seq": 7}, Told("b1", 7)),
        ({}, None),
        ({"boot_id": "b1"}, None),
        ({"boot_id": 1, "seq": 7}, None),
        ({"boot_id": "b1", "seq": -1}, None),
        ({"boot_id": "b1", "seq": 2**63}, None),
    ],
)
def test_a_ping_says_which_entry_is_the_newest_or_nothing(ping: dict[str, object], told: Told | None) -> None:
    assert messages.newest({"type": "ping", **ping}) == told
