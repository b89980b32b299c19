"""The version 1 files in `tests/golden` stay readable, and today's writer still writes them byte for byte.

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
from recorder.replay import open_recording
from recorder.report import State
from recorder.seal import Signer
from recorder.testing import NOW_MS, FixedRandom, sample_turns, write_sample
from recorder.verify import verify

GOLDEN = Path(__file__).parents[2] / "golden"
SEALED = GOLDEN / "recording_v1.sallyrec"
BROKEN = GOLDEN / "recording_v1_broken.sallyrec"
COMPRESSED = GOLDEN / "recording_v1_zstd.sallyrec"
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


@pytest.mark.parametrize(("golden", "write"), [(SEALED, write_sample), (BROKEN, write_broken)])
def test_the_writer_still_writes_version_1_byte_for_byte(tmp_path: Path, golden: Path, write: object) -> None:
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
