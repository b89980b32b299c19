from broker.identities.testing import NOON
from broker.recordings.events import StorageLevel
from broker.sessions.events import CommandBlocked, ConnectionRefused, FileTransferred, GatewayObserved
from broker.sessions.gateway_events import anchor_of, audit_event
from broker.sessions.model import ReportedEvent


def test_a_piggy_back_becomes_a_refused_connection() -> None:
    params: dict[str, str | int | bool | None] = {"door": 2, "source": "203.0.113.9", "reason": "mismatch"}
    event = audit_event(ReportedEvent("gateway.piggyback", NOON, params), None, None, "w1")
    assert isinstance(event, ConnectionRefused)
    assert (event.door, event.source, event.reason, event.subject) == (2, "203.0.113.9", "mismatch", "gateway:w1")


def test_a_blocked_command_is_cut_at_two_thousand_characters() -> None:
    event = audit_event(ReportedEvent("session.command.blocked", NOON, {"text": "x" * 5000}), "ses_1", "psn_1", "w1")
    assert isinstance(event, CommandBlocked)
    assert (len(event.command), event.rule_id, event.actor) == (2000, "", "psn_1")


def test_a_moved_file_is_told_with_its_hash_as_far_as_there_is_one() -> None:
    params: dict[str, str | int | bool | None] = {
        "direction": "up",
        "path": "/box/x",
        "bytes": 5,
        "sha256": "ab",
        "complete": True,
        "sequential": True,
    }
    event = audit_event(ReportedEvent("session.file.transferred", NOON, params), "ses_1", "psn_1", "w1")
    assert isinstance(event, FileTransferred)
    assert (event.actor, event.subject, event.direction) == ("psn_1", "ses_1", "up")
    assert (event.path, event.bytes, event.sha256, event.complete) == ("/box/x", 5, "ab", True)
    bare = audit_event(ReportedEvent("session.file.transferred", NOON, {"sha256": ""}), "ses_1", "psn_1", "w1")
    assert isinstance(bare, FileTransferred)
    assert (bare.sha256, bare.bytes, bare.complete) == (None, 0, False)


def test_what_is_not_known_is_kept_as_text() -> None:
    event = audit_event(ReportedEvent("session.session.frozen", NOON, {"cause": "control"}), "ses_1", "psn_1", "w1")
    assert isinstance(event, GatewayObserved)
    assert (event.event, event.details, event.subject) == ("session.session.frozen", '{"cause": "control"}', "ses_1")


def test_entered_commands_and_opened_channels_are_not_audited() -> None:
    for code in ("session.command.entered", "session.channel.opened"):
        assert audit_event(ReportedEvent(code, NOON, {}), "ses_1", "psn_1", "w1") is None


def test_a_level_of_the_storage_is_told_of_the_worker() -> None:
    params: dict[str, str | int | bool | None] = {"level": "full", "before": "good", "free_bytes": 5}
    event = audit_event(ReportedEvent("recordings.storage.level", NOON, params), None, None, "w1")
    assert isinstance(event, StorageLevel)
    assert (event.subject, event.level, event.free_bytes) == ("gateway:w1", "full", 5)


def test_a_head_with_missing_or_false_fields_is_none() -> None:
    good: dict[str, str | int | bool | None] = {"chain_sha256": "00" * 32, "signature_b64": "AA==", "batches": 1}
    assert anchor_of(ReportedEvent("recordings.recording.anchored", NOON, good)) is not None
    for wrong in ({"chain_sha256": "00"}, {"chain_sha256": "zz"}, {"signature_b64": "?"}, {"batches": -1}):
        assert anchor_of(ReportedEvent("recordings.recording.anchored", NOON, {**good, **wrong})) is None
