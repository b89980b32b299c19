import json
from pathlib import Path

from recorder.testing import write_sample
from recorder.verify import verify


def test_a_report_as_json_holds_plain_values_only(tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "a.sallyrec")
    report = verify(sample.path, signing_public=sample.signing_public)
    told = json.loads(json.dumps(report.as_json()))
    assert told == report.as_json()
    assert told["state"] == "sealed"
    assert told["kind"] is None
    assert told["signing_key_pinned"] is True
    assert told["reason"] == "session_ended"
    assert told["chain_sha256"] == sample.head.chain_sha256.hex()
