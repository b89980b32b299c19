from io import BytesIO
from pathlib import Path

import pytest

from broker.audit.model import FieldValue
from broker.recordings.audited import AuditedRecording, check, check_stream
from recorder.batches import Batch
from recorder.seal import next_chain
from recorder.testing import Sample, sample_header, write_sample
from recorder.walk import read_front, read_records

_ID = sample_header().recording_id


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return write_sample(tmp_path / f"{_ID}.sallyrec")


def _params(sample: Sample, **changes: FieldValue) -> dict[str, FieldValue]:
    return {
        "signing_key": sample.signing_public.hex(),
        "header_sha256": sample.header_sha256.hex(),
        "head_sha256": sample.head.chain_sha256.hex(),
        "batches": sample.head.batches,
        **changes,
    }


def _opened(sample: Sample, **changes: FieldValue) -> AuditedRecording:
    return AuditedRecording.opened(_ID, _params(sample, **changes))


def _sealed(sample: Sample, **changes: FieldValue) -> AuditedRecording:
    return _opened(sample).closed("sealed", _params(sample, **changes))


def test_a_sealed_recording_with_its_audited_head_is_whole(sample: Sample, tmp_path: Path) -> None:
    outcome = check(_sealed(sample), tmp_path, None)
    assert (outcome.state, outcome.batches, outcome.duration_ms) == ("sealed", 7, 3_600_000)


def test_a_recording_sealed_with_another_head_than_the_audited_is_bad(sample: Sample, tmp_path: Path) -> None:
    outcome = check(_sealed(sample, head_sha256="00" * 32), tmp_path, None)
    assert (outcome.state, outcome.kind) == ("bad", "forged_head")


def test_a_recording_signed_by_another_key_than_the_audited_is_bad(sample: Sample, tmp_path: Path) -> None:
    outcome = check(_opened(sample, signing_key="11" * 32), tmp_path, None)
    assert (outcome.state, outcome.kind) == ("bad", "wrong_key")


def test_another_header_than_the_audited_is_another_file(sample: Sample, tmp_path: Path) -> None:
    outcome = check(_opened(sample, header_sha256="11" * 32), tmp_path, None)
    assert (outcome.state, outcome.kind) == ("bad", "other_file")


def test_a_file_under_the_id_of_another_is_another_file(sample: Sample) -> None:
    audited = AuditedRecording.opened("rec_00000000000000000000000000", _params(sample))
    outcome = check_stream(audited, BytesIO(sample.path.read_bytes()), None)
    assert outcome.kind == "other_file"


def test_a_broken_recording_shorter_than_the_gateway_said_is_truncated(sample: Sample) -> None:
    content = sample.path.read_bytes()
    stream = BytesIO(content)
    offsets = [offset for offset, _ in read_records(stream, read_front(stream).end, len(content))]
    broken = _opened(sample).closed("broken", _params(sample, head_sha256=None, batches=5))
    assert check_stream(broken, BytesIO(content[: offsets[-1]]), None).state == "broken"
    outcome = check_stream(broken, BytesIO(content[: offsets[3]]), None)
    assert (outcome.state, outcome.kind) == ("bad", "truncated")
    assert "5 batches" in outcome.message


@pytest.mark.parametrize(
    "changes", [{"signing_key": "not hex"}, {"signing_key": None}, {"signing_key": 7}, {"signing_key": "00"}]
)
def test_facts_that_make_no_sense_are_bad(sample: Sample, tmp_path: Path, changes: dict[str, FieldValue]) -> None:
    assert check(_opened(sample, **changes), tmp_path, None).kind == "altered_facts"


def test_an_end_with_another_key_than_the_beginning_contradicts_itself(sample: Sample, tmp_path: Path) -> None:
    for changes in ({"signing_key": "11" * 32}, {"head_sha256": None}):
        assert check(_sealed(sample, **changes), tmp_path, None).kind == "altered_facts"


def test_a_file_that_is_not_there_or_cannot_be_read_is_named(sample: Sample, tmp_path: Path) -> None:
    assert check(_sealed(sample), tmp_path / "elsewhere", None).kind == "missing"
    sample.path.unlink()
    sample.path.mkdir()
    assert check(_sealed(sample), tmp_path, None).kind == "unreadable"


def test_an_id_that_would_lead_out_of_the_folder_is_refused(sample: Sample, tmp_path: Path) -> None:
    outcome = check(AuditedRecording.opened("../../etc/passwd", _params(sample)), tmp_path, None)
    assert (outcome.state, outcome.kind) == ("bad", "not_a_recording")


def test_a_crashed_recording_cut_before_an_audited_head_is_truncated(sample: Sample) -> None:
    audited = _opened(sample).anchored({"batches": 6, "chain_sha256": _chain_at(sample, 6).hex()})
    whole = check_stream(audited, BytesIO(sample.path.read_bytes()), None)
    assert whole.state == "open"
    with sample.path.open("rb") as stream:
        size = sample.path.stat().st_size
        end = [offset for offset, _ in read_records(stream, read_front(stream).end, size)][5]
    outcome = check_stream(audited, BytesIO(sample.path.read_bytes()[:end]), None)
    assert (outcome.state, outcome.kind) == ("bad", "truncated")


def test_another_history_than_the_audited_head_is_bad_and_senseless_heads_are_named(sample: Sample) -> None:
    audited = _opened(sample).anchored({"batches": 6, "chain_sha256": "11" * 32})
    outcome = check_stream(audited, BytesIO(sample.path.read_bytes()), None)
    assert (outcome.state, outcome.kind) == ("bad", "forged_head")
    senseless = _opened(sample).anchored({"batches": 6, "chain_sha256": "?"})
    assert check_stream(senseless, BytesIO(sample.path.read_bytes()), None).kind == "altered_facts"


def _chain_at(sample: Sample, batches: int) -> bytes:
    chain = sample.header_sha256
    with sample.path.open("rb") as stream:
        for _, record in read_records(stream, read_front(stream).end, sample.path.stat().st_size):
            if isinstance(record, Batch) and record.prelude.number <= batches:
                chain = next_chain(chain, record.digest)
    return chain
