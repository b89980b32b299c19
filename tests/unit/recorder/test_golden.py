"""The files of every version in `tests/golden` stay readable, and today's writer still writes them byte for byte.

A change of these files is a change of the format. They are made by `python -m tests.unit.recorder.test_golden`.
"""

import json
import tempfile
from pathlib import Path

import pytest

from recorder.broken import mark_broken
from recorder.cast import to_asciicast_v2
from recorder.frames import Frame, FrameKind
from recorder.manifest import SEALED_BYTES
from recorder.masking import Mask, Unmask, hidden_inputs, open_part
from recorder.replay import open_recording
from recorder.report import State
from recorder.seal import Signer, generate_recipient
from recorder.testing import NOW_MS, FixedRandom, sample_header, sample_turns, write_sample
from recorder.verify import verify
from recorder.walk import read_front
from recorder.writer import RecordingWriter

GOLDEN = Path(__file__).parents[2] / "golden"
SEALED = GOLDEN / "recording_v1.sallyrec"
BROKEN = GOLDEN / "recording_v1_broken.sallyrec"
COMPRESSED = GOLDEN / "recording_v1_zstd.sallyrec"
MASKED = GOLDEN / "recording_v2.sallyrec"
CAST = GOLDEN / "recording_v1.cast"
FACTS = GOLDEN / "recording_v1.json"

EVIDENCE = Signer.generate(FixedRandom("evidence"))
LONG_TURN = [Frame(FrameKind.OUTPUT, 0, 7, "温度 21.5 ℃ 正常\r\n".encode() * 100)]


def facts() -> dict[str, object]:
    value: dict[str, object] = json.loads(FACTS.read_text("utf-8"))
    return value


def key(name: str) -> bytes:
    return bytes.fromhex(str(facts()[name]))


def write_broken(path: Path) -> None:
    write_sample(path)
    path.write_bytes(path.read_bytes()[: -SEALED_BYTES - 30])
    mark_broken(path, EVIDENCE.sign, "gateway_restarted", NOW_MS, evidence_public=EVIDENCE.public)


def auditors() -> list[tuple[bytes, bytes]]:
    random = FixedRandom("auditors")
    return [generate_recipient(random), generate_recipient(random)]


def write_masked(path: Path) -> None:
    """Version 2: a word that no screen showed, and keys that it showed."""
    random = FixedRandom()
    _, public = generate_recipient(random)
    header = sample_header()
    mask = Mask.generate([one for _, one in auditors()], header.recording_id, random)
    writer = RecordingWriter.create(
        path, header=header, recipient_public=public, now_ms=NOW_MS, random=random, mask=mask
    )
    writer.append([mask.seal(Frame(FrameKind.MASKED_INPUT, 0, 1_000, b"ls\r"))])
    writer.append([Frame(FrameKind.ECHOED_INPUT, 0, 1_000, b"ls\r")])
    writer.append([mask.seal(Frame(FrameKind.MASKED_INPUT, 0, 2_000, b"hunter2\r"))])
    writer.append([Frame(FrameKind.NOTE, 0, 2_000, b'{"kind":"hidden_input","text":"7","characters":7}')])
    writer.seal("session_ended", NOW_MS + 5_000)


def test_the_golden_masked_recording_is_opened_by_its_two_auditors() -> None:
    recording = open_recording(MASKED, key("unseal_private"))
    assert recording.report.state is State.SEALED
    with MASKED.open("rb") as stream:
        parts = read_front(stream).opening.mask_parts
    assert parts is not None
    name = recording.header.recording_id
    opened = [open_part(parts[index], auditors()[index][0], name, index) for index in (0, 1)]
    unmask = Unmask.of(name, opened[0], opened[1])
    assert [one.keys for one in hidden_inputs(recording.frames(), unmask)] == [b"hunter2\r"]


def test_the_golden_recording_verifies_and_replays() -> None:
    report = verify(SEALED, signing_public=key("signing_public"), unseal_private=key("unseal_private"))
    assert (report.state, report.chain_sha256) == (State.SEALED, key("chain_sha256"))
    recording = open_recording(SEALED, key("unseal_private"), signing_public=key("signing_public"))
    assert list(recording.frames()) == [frame for turn in sample_turns() for frame in turn]
    assert "".join(to_asciicast_v2(recording.header, recording.frames())) == CAST.read_bytes().decode()


def test_the_golden_broken_recording_verifies() -> None:
    report = verify(BROKEN, signing_public=key("signing_public"), evidence_public=key("evidence_public"))
    assert (report.state, report.batches) == (State.BROKEN, 7)
    assert report.broken is not None
    assert report.broken.tail_bytes == facts()["broken_tail_bytes"]


def test_the_golden_compressed_recording_replays() -> None:
    assert list(open_recording(COMPRESSED, key("unseal_private")).frames()) == LONG_TURN


@pytest.mark.parametrize(("golden", "write"), [(SEALED, write_sample), (BROKEN, write_broken), (MASKED, write_masked)])
def test_the_writer_still_writes_every_version_byte_for_byte(tmp_path: Path, golden: Path, write: object) -> None:
    assert callable(write)
    path = tmp_path / "a.sallyrec"
    write(path)
    assert path.read_bytes() == golden.read_bytes()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.sallyrec"
        sample = write_sample(path)
        SEALED.write_bytes(path.read_bytes())
        recording = open_recording(path, sample.unseal_private)
        CAST.write_text("".join(to_asciicast_v2(recording.header, recording.frames())), "utf-8")
        path.unlink()
        write_broken(path)
        BROKEN.write_bytes(path.read_bytes())
        report = verify(path, signing_public=None)
        path.unlink()
        write_sample(path, [LONG_TURN])
        COMPRESSED.write_bytes(path.read_bytes())
        path.unlink()
        write_masked(path)
        MASKED.write_bytes(path.read_bytes())
    assert report.broken is not None
    known = {
        "unseal_private": sample.unseal_private.hex(),
        "signing_public": sample.signing_public.hex(),
        "evidence_public": EVIDENCE.public.hex(),
        "chain_sha256": sample.head.chain_sha256.hex(),
        "broken_tail_bytes": report.broken.tail_bytes,
    }
    FACTS.write_text(json.dumps(known, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
