"""Receipts against the trail, and a history rewritten with every key of the plant against a receipt."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.app.verification import WHOLE
from broker.audit.chain import GENESIS, canonical, link
from broker.audit.store import walk
from broker.receipts.model import Due
from recorder.frames import Frame, FrameKind
from recorder.manifest import Head, RecordingHeader
from recorder.testing import FixedRandom
from recorder.verify import ExitCode, main
from recorder.writer import RecordingWriter
from tests.unit.broker.app.evidence import Evidence, first_bad
from tests.unit.broker.receipts.giving import Giving, giving
from tests.unit.broker.recordings.files import NOW_MS, Recorded, open_recording_of, seal
from tests.unit.broker.sessions.plant import Plant


def given(made: Evidence) -> tuple[Giving, Due]:
    """The sealed session's receipt is kept, and witnessed."""
    site = giving(made.plant)
    (due,) = site.due()
    site.give(site.signed(due))
    made.witness().conclude()
    return site, due


def forged_line(made: Evidence, line: bytes) -> None:
    """As one writes who has the database and knows how to take its guards away."""
    made.sql("DROP TRIGGER receipts_are_never_rewritten")
    made.sql("UPDATE session_receipts SET line = ?", line)


def test_a_site_with_its_receipts_is_whole(made: Evidence) -> None:
    given(made)
    assert made.verify().exit_code == WHOLE


def test_a_refusal_of_what_was_told_is_no_damage(made: Evidence) -> None:
    site = giving(made.plant)
    site.give(site.signed(site.due()[0], refusal="went_back", signing_key="00" * 32))
    made.witness().conclude()
    assert made.verify().exit_code == WHOLE


def test_a_receipt_that_was_taken_away_is_named(made: Evidence) -> None:
    given(made)
    made.sql("DROP TRIGGER receipts_stay")
    made.sql("DELETE FROM session_receipts")
    assert first_bad(made.verify()) == ("receipt", "missing", made.sealed.session_id)


def test_a_receipt_of_another_key_is_named(made: Evidence) -> None:
    site, due = given(made)
    forged_line(made, site.signed(due, Ed25519PrivateKey.generate()).line)
    assert first_bad(made.verify()) == ("receipt", "wrong_key", made.sealed.session_id)


def test_a_receipt_that_is_unreadable_or_another_one_is_altered(made: Evidence) -> None:
    site, due = given(made)
    forged_line(made, site.signed(due).line[:-1])
    assert first_bad(made.verify()) == ("receipt", "altered", made.sealed.session_id)
    made.sql("UPDATE session_receipts SET line = ?", site.signed(due, heads_seen=9).line)
    assert first_bad(made.verify()) == ("receipt", "altered", made.sealed.session_id)


def test_a_receipt_that_the_trail_does_not_tell_of_is_named(made: Evidence) -> None:
    site = giving(made.plant)
    signed = site.signed(site.due()[0])
    made.sql(
        "INSERT INTO session_receipts (session_id, device_id, state, line, at) VALUES (?, ?, 'received', ?, ?)",
        *(made.sealed.session_id, made.plant.laptop.device.id, signed.line, "2026-11-20 12:00:00.000000"),
    )
    assert first_bad(made.verify()) == ("receipt", "not_audited", made.sealed.session_id)


def test_receipts_that_cannot_be_read_are_a_finding(made: Evidence) -> None:
    given(made)
    made.sql("ALTER TABLE session_receipts RENAME COLUMN line TO lines")
    assert first_bad(made.verify()) == ("receipt", "unreadable", "receipts")


# -- every key of the plant -------------------------------------------------------------------------------------------


def recorded_anew(plant: Plant, one: Recorded, seed: str) -> Head:
    """Another recording in this one's place, by whoever holds its keys: same header, same signatures, other frames."""
    header = RecordingHeader(one.recording_id, one.session_id, NOW_MS, "ssh", width=100, height=30)
    path = one.path.with_suffix(".anew")
    writer = RecordingWriter.create(
        path, header=header, recipient_public=plant.unseal_public, now_ms=NOW_MS, random=FixedRandom(seed)
    )
    assert (writer.signing_public, writer.header_sha256) == (one.writer.signing_public, one.writer.header_sha256)
    writer.append([Frame(FrameKind.OUTPUT, 0, 2_000, b"nothing happened here\r\n")])
    head = writer.seal("client_left", NOW_MS + 60_000)
    path.replace(one.path)
    return head


def trail_anew(made: Evidence, recording_id: str, head: Head) -> None:
    """The trail and the index tell of that recording, and every checkpoint is signed anew."""
    facts = {
        "head_sha256": head.chain_sha256.hex(),
        "head_signature": head.signature.hex(),
        "frames": head.frames,
        "batches": head.batches,
        "bytes_written": head.bytes,
    }
    previous = GENESIS
    with made.plant.world.database.reading() as session:
        records = list(walk(session))
    for one in records:
        params = dict(one.params)
        if one.code == "recordings.recording.sealed" and one.subject == recording_id:
            params |= facts
        linked = link(previous, canonical(one.seq, one.at, one.code, one.actor, one.subject, params))
        made.sql(
            "UPDATE audit_events SET params_json = ?, previous_hash = ?, hash = ? WHERE seq = ?",
            *(json.dumps(params, sort_keys=True, ensure_ascii=False), previous, linked, one.seq),
        )
        previous = linked
    made.sql(
        "UPDATE recordings SET head_sha256 = ?, head_signature = ?, frames = ?, batches = ?, bytes_written = ? "
        "WHERE id = ?",
        *(head.chain_sha256, head.signature, head.frames, head.batches, head.bytes, recording_id),
    )
    made.witness_file.unlink()
    made.witness().conclude()


def test_a_history_rewritten_with_every_key_of_the_plant_is_exposed_by_the_receipt(
    made: Evidence, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant = made.plant
    one = open_recording_of(plant, random=FixedRandom("stolen"))
    seal(plant, one, 2)
    site = giving(plant)
    (due,) = [due for due in site.due() if due.session_id == one.session_id]
    kept_by_the_vendor = tmp_path / "ses.receipt"
    kept_by_the_vendor.write_bytes(site.signed(due).line)
    head = recorded_anew(plant, one, "stolen")
    trail_anew(made, one.recording_id, head)
    assert made.verify().exit_code == WHOLE  # whoever has every key is not found at the plant
    assert main([str(one.path), "--receipt", str(kept_by_the_vendor)]) == ExitCode.DAMAGED
    assert "the session's device vouched" in capsys.readouterr().out


def test_a_rewritten_recording_contradicts_the_receipt_that_the_plant_keeps(made: Evidence) -> None:
    plant = made.plant
    one = open_recording_of(plant, random=FixedRandom("stolen"))
    seal(plant, one, 2)
    site = giving(plant)
    for due in site.due():
        site.give(site.signed(due))
    trail_anew(made, one.recording_id, recorded_anew(plant, one, "stolen"))
    assert first_bad(made.verify()) == ("receipt", "contradicted", one.session_id)
