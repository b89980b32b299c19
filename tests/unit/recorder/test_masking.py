"""Masked input: two auditors together, and never one; hidden input told apart from what the screen showed."""

import os
from pathlib import Path

import pytest

from recorder.errors import DamagedRecordingError
from recorder.frames import Frame, FrameKind
from recorder.manifest import Opening, decode_opening
from recorder.masking import HiddenInput, Mask, Unmask, hidden_inputs, open_part
from recorder.replay import open_recording
from recorder.report import State
from recorder.seal import SIGNATURE_BYTES, Signer, generate_recipient, seal_data_key
from recorder.testing import NOW_MS, sample_header
from recorder.writer import RecordingWriter

ONE, OTHER, STRANGER = generate_recipient(), generate_recipient(), generate_recipient()
ID = sample_header().recording_id


def a_mask() -> Mask:
    return Mask.generate([ONE[1], OTHER[1]], ID, os.urandom)


def typed(data: bytes, at_us: int = 1, channel: int = 0) -> Frame:
    return Frame(FrameKind.MASKED_INPUT, channel, at_us, data)


def both(mask: Mask) -> Unmask:
    return Unmask.of(ID, open_part(mask.parts[0], ONE[0], ID, 0), open_part(mask.parts[1], OTHER[0], ID, 1))


def test_two_auditors_together_read_what_was_typed() -> None:
    mask = a_mask()
    sealed = mask.seal(typed(b"hunter2"))
    assert b"hunter2" not in sealed.data
    assert (sealed.kind, sealed.at_us) == (FrameKind.MASKED_INPUT, 1)
    assert both(mask).open(sealed) == b"hunter2"


def test_one_auditor_alone_reads_nothing_whatever_they_put_in_place_of_the_other() -> None:
    mask = a_mask()
    sealed = mask.seal(typed(b"hunter2"))
    part = open_part(mask.parts[0], ONE[0], ID, 0)
    with pytest.raises(DamagedRecordingError):
        open_part(mask.parts[1], ONE[0], ID, 1)
    for guess in (bytes(32), part, os.urandom(32)):
        with pytest.raises(DamagedRecordingError, match="not the two parts") as refusal:
            Unmask.of(ID, part, guess).open(sealed)
        assert refusal.value.code == "wrong_key"


def test_a_part_belongs_to_its_recording_and_its_place() -> None:
    mask = a_mask()
    with pytest.raises(DamagedRecordingError):
        open_part(mask.parts[0], ONE[0], ID, 1)
    with pytest.raises(DamagedRecordingError):
        open_part(mask.parts[0], ONE[0], "rec_other", 0)
    with pytest.raises(DamagedRecordingError):
        open_part(mask.parts[0], STRANGER[0], ID, 0)


def test_a_frame_does_not_open_on_another_channel_and_no_number_comes_twice() -> None:
    mask = a_mask()
    first, second = mask.seal(typed(b"same")), mask.seal(typed(b"same"))
    assert first.data != second.data
    with pytest.raises(DamagedRecordingError):
        both(mask).open(Frame(FrameKind.MASKED_INPUT, 7, 1, first.data))
    with pytest.raises(DamagedRecordingError, match="too short"):
        both(mask).open(typed(b"short"))


@pytest.mark.parametrize("auditors", [[], [ONE[1]], [ONE[1], ONE[1]], [ONE[1], OTHER[1], STRANGER[1]]])
def test_a_mask_needs_two_different_keys(auditors: list[bytes]) -> None:
    with pytest.raises(ValueError, match="two different auditors"):
        Mask.generate(auditors, ID, os.urandom)


def test_what_the_screen_showed_is_no_hidden_input_and_an_abandoned_secret_still_is() -> None:
    mask = a_mask()
    note = Frame(FrameKind.NOTE, 0, 40, b'{"kind":"hidden_input","text":"7 characters"}')
    frames = [
        mask.seal(typed(b"ls", 10)),
        mask.seal(typed(b"\r", 11)),
        Frame(FrameKind.ECHOED_INPUT, 0, 12, b"ls\r"),
        mask.seal(typed(b"hunt", 20)),
        Frame(FrameKind.OUTPUT, 0, 21, b"..."),
        mask.seal(typed(b"er2\r", 30)),
        note,
        mask.seal(typed(b"half\x03", 50)),
        mask.seal(typed(b"date\r", 60)),
        Frame(FrameKind.ECHOED_INPUT, 0, 61, b"date\r"),
        mask.seal(typed(b"left", 70, channel=2)),
    ]
    assert list(hidden_inputs(frames, both(mask))) == [
        HiddenInput(40, 0, b"hunter2\r"),
        HiddenInput(61, 0, b"half\x03"),
        HiddenInput(70, 2, b"left"),
    ]


def test_a_recording_with_a_mask_is_version_2_and_carries_its_parts(tmp_path: Path) -> None:
    private, public = generate_recipient()
    mask = a_mask()
    path = tmp_path / "a.sallyrec"
    writer = RecordingWriter.create(
        path, header=sample_header(), recipient_public=public, now_ms=NOW_MS, random=os.urandom, mask=mask
    )
    writer.append([mask.seal(typed(b"hunter2"))])
    writer.seal("session_ended", NOW_MS)
    assert b'"v":2' in path.read_bytes()
    assert b"hunter2" not in path.read_bytes()
    recording = open_recording(path, private)
    assert recording.report.state is State.SEALED
    assert b"hunter2" not in b"".join(frame.data for frame in recording.frames())
    assert [one.keys for one in hidden_inputs(recording.frames(), both(mask))] == [b"hunter2"]


def test_a_mask_that_is_not_understood_is_not_taken_for_damage() -> None:
    signer = Signer.generate(os.urandom)
    key = seal_data_key(bytes(32), ONE[1], ID, os.urandom)
    front = Opening(sample_header(), signer.public, key, a_mask().parts).encode(signer.sign)
    signed, signature = front[:-SIGNATURE_BYTES], front[-SIGNATURE_BYTES:]
    assert decode_opening(signed, signature).mask_parts is not None
    with pytest.raises(DamagedRecordingError) as refusal:
        decode_opening(signed.replace(b"XOR-2", b"XOR-3"), signature)
    assert refusal.value.code == "unsupported"
