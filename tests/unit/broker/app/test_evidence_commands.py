"""`sallyport evidence`."""

import base64
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker.app import console_client
from broker.app.commands import app
from recorder.masking import Mask, open_part
from recorder.onefile import one_file
from recorder.seal import generate_recipient


def test_the_verifier_is_written_once_and_never_over_another_file(tmp_path: Path) -> None:
    path = tmp_path / "verify.py"
    assert CliRunner().invoke(app, ["evidence", "verifier", "-o", str(path)]).exit_code == 0
    assert path.read_text("utf-8") == one_file("verify.py")
    path.write_text("mine")
    assert CliRunner().invoke(app, ["evidence", "verifier", "-o", str(path)]).exit_code == 1
    assert path.read_text() == "mine"


def test_an_auditors_key_is_the_auditors_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    done = CliRunner().invoke(app, ["evidence", "auditor-key", "-o", str(path)])
    assert done.exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(path.read_text().strip())) == 32
    assert path.read_text().strip() not in done.output
    assert CliRunner().invoke(app, ["evidence", "auditor-key", "-o", str(path)]).exit_code == 1


def test_an_auditor_hands_in_the_own_part_and_never_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = generate_recipient(), generate_recipient()
    mask = Mask.generate([one[1], other[1]], "rec_1", os.urandom)
    parts = [
        {
            "auditor_key": part.recipient_public.hex(),
            "ephemeral_public_b64": base64.b64encode(part.ephemeral_public).decode(),
            "sealed_b64": base64.b64encode(part.sealed).decode(),
        }
        for part in mask.parts
    ]
    sent: list[dict[str, object]] = []

    def post(_session: object, path: str, body: dict[str, object]) -> bytes:
        assert path == "/recordings/rec_1/masked"
        sent.append(body)
        return json.dumps({"state": "opened", "items": [{"at_ms": 5, "channel": 1, "text": "hunter2"}]}).encode()

    monkeypatch.setattr(console_client, "load", lambda _: None)
    monkeypatch.setattr(console_client, "get", lambda *_: json.dumps({"parts": parts}).encode())
    monkeypatch.setattr(console_client, "post", post)
    (tmp_path / "key").write_text(other[0].hex())
    done = CliRunner().invoke(app, ["evidence", "unmask", "rec_1", "--key", str(tmp_path / "key")])
    assert done.exit_code == 0
    assert "hunter2" in done.output
    secret = base64.b64encode(open_part(mask.parts[1], other[0], "rec_1", 1)).decode()
    assert sent == [{"part": 2, "secret_b64": secret}]
    (tmp_path / "key").write_text(os.urandom(32).hex())
    assert CliRunner().invoke(app, ["evidence", "unmask", "rec_1", "--key", str(tmp_path / "key")]).exit_code == 1
    (tmp_path / "key").write_text("no key")
    assert CliRunner().invoke(app, ["evidence", "unmask", "rec_1", "--key", str(tmp_path / "key")]).exit_code == 1


def test_the_archives_key_is_made_once(tmp_path: Path) -> None:
    config = tmp_path / "site.toml"
    config.write_text(
        f'[site]\nname = "demo"\nstate_dir = "{tmp_path}/state"\n'
        '[vendor_face]\nhost = "203.0.113.10"\ninterface = "out0"\n'
        '[plant_face]\nhost = "10.20.0.10"\ninterface = "mgmt0"\nnetworks = ["10.30.0.0/24"]\n'
    )
    (tmp_path / "state" / "public").mkdir(parents=True)
    done = [CliRunner().invoke(app, ["evidence", "receipt-key", "--config", str(config)]) for _ in range(2)]
    if os.geteuid() != 0:
        assert [one.exit_code for one in done] == [1, 1]
        return
    assert ["new key" in one.output for one in done] == [True, False]
    assert (tmp_path / "state" / "archive" / "receipts.key").stat().st_uid == 61188
