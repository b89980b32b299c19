"""One session's recording: what the driver's own tests do not reach."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from broker.gateway.evidence import Evidence
from broker.gateway.permits import Admission, SessionPermit
from broker.gateway.recording_care import RecordingCare
from broker.gateway.session_recording import ANCHORED, NEARLY_SPENT, SessionRecording
from broker.gateway.testing import permit_json
from recorder.errors import RecordingError
from recorder.frames import Frame, FrameKind
from recorder.masking import Unmask, open_part
from recorder.replay import open_recording
from recorder.report import State
from recorder.seal import generate_recipient
from recorder.verify import verify

PRIVATE, PUBLIC = generate_recipient()


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def report(self, session_id: str, code: str, params: dict[str, object]) -> None:
        assert session_id == "ses_1"
        self.events.append((code, params))

    @property
    def codes(self) -> list[str]:
        return [code for code, _ in self.events]


def opened(folder: Path, told: Told, **care: float) -> SessionRecording:
    admission = Admission("ses_1", "rec_1", SessionPermit.from_json(permit_json()), PUBLIC)
    settings = RecordingCare(**care)  # type: ignore[arg-type]
    return SessionRecording(admission, folder, settings, told, now_ms=5, random=os.urandom)  # type: ignore[arg-type]


def output(at_us: int, count: int = 1) -> list[Frame]:
    return [Frame(FrameKind.OUTPUT, 0, at_us, os.urandom(count))]


def test_a_head_is_told_when_its_time_has_come_and_something_was_recorded(tmp_path: Path) -> None:
    told = Told()
    one = opened(tmp_path, told, anchor_seconds=30)
    for second in range(1, 65):
        if second < 40:
            one.append(output(second * 1_000_000))
        one.tick(second * 1_000_000)
    assert told.codes == [ANCHORED, ANCHORED]
    assert [params["batches"] for _, params in told.events] == [30, 39]


def test_a_recording_near_its_bound_is_told_once(tmp_path: Path) -> None:
    told = Told()
    one = opened(tmp_path, told, most_bytes=100_000)
    for number in range(9):
        one.append(output(number, 10_000))
        one.tick(number)
    assert told.codes == [NEARLY_SPENT]


def test_a_head_that_finds_no_room_waits_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = opened(tmp_path, Told(), reserve_bytes=1)
    one.append(output(1))

    def full(*_: int) -> None:
        raise RecordingError("no_space", "full", can_retry=True)

    monkeypatch.setattr("recorder.writer.hold_room", full)
    one.tick(60_000_000)


def test_what_cannot_be_sealed_is_marked_broken_at_its_exact_end(tmp_path: Path) -> None:
    one = opened(tmp_path, Told())
    one.append(output(1, 100))
    one.append(output(2, 100))
    os.close(one._writer._descriptor)
    with capture_logs():
        facts = one.close(Evidence(Ed25519PrivateKey.generate()), "session_ended", 7, broken=False)
    assert (facts.state, facts.batches) == ("broken", 2)


async def test_one_sync_runs_at_a_time_and_a_failed_one_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened(tmp_path, Told(), sync_seconds=5)
    assert [one.is_sync_due(at) for at in (4_999_999, 5_000_000)] == [False, True]
    await one.sync(5_000_000)
    assert not one.is_sync_due(9_000_000)

    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    with pytest.raises(OSError, match="Input/output"):
        await one.sync(10_000_000)
    monkeypatch.undo()
    facts = one.close(Evidence(Ed25519PrivateKey.generate()), "recorder_failed", 7, broken=True)
    assert facts.state == "broken"
    assert verify(tmp_path / one.file_name, signing_public=None).state is State.BROKEN


AUDITORS = (generate_recipient(), generate_recipient())


def test_typed_input_is_masked_in_the_file_and_for_who_watches(tmp_path: Path) -> None:
    admission = Admission(
        "ses_1", "rec_1", SessionPermit.from_json(permit_json()), PUBLIC, (AUDITORS[0][1], AUDITORS[1][1])
    )
    one = SessionRecording(admission, tmp_path, RecordingCare(), Told(), now_ms=5, random=os.urandom)  # type: ignore[arg-type]
    (masked,) = one.append([Frame(FrameKind.MASKED_INPUT, 1, 5, b"hunter2")])
    assert b"hunter2" not in masked.data
    assert one.append([Frame(FrameKind.ECHOED_INPUT, 1, 6, b"ls\r")])[0].data == b"ls\r"
    one.close(Evidence(Ed25519PrivateKey.generate()), "session_ended", 7, broken=False)
    frames = list(open_recording(tmp_path / one.file_name, PRIVATE).frames())
    assert frames[0] == masked
    parts = one._mask.parts  # type: ignore[union-attr]
    opened = [open_part(parts[index], AUDITORS[index][0], "rec_1", index) for index in (0, 1)]
    assert Unmask.of("rec_1", opened[0], opened[1]).open(masked) == b"hunter2"


def test_without_auditors_keys_typed_input_is_recorded_once_under_the_recordings_own_key(tmp_path: Path) -> None:
    one = opened(tmp_path, Told())
    one.append([Frame(FrameKind.MASKED_INPUT, 1, 5, b"ls\r")])
    assert one.append([Frame(FrameKind.ECHOED_INPUT, 1, 6, b"ls\r")]) == []
    one.close(Evidence(Ed25519PrivateKey.generate()), "session_ended", 7, broken=False)
    frames = list(open_recording(tmp_path / one.file_name, PRIVATE).frames())
    assert frames == [Frame(FrameKind.INPUT, 1, 5, b"ls\r")]
