import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.app import keys, verification, wiring
from broker.app.errors import CommandError
from broker.app.layout import Layout
from broker.app.settings import Settings
from broker.app.verification import BAD, UNFINISHED, WHOLE, Bad
from broker.audit.witness import read as read_witness
from tests.unit.broker.app.evidence import KEY, Evidence, first_bad, pieces, put_together, rewrite_from


def _number_of(made: Evidence, code: str) -> int:
    return made.plant.codes().index(code) + 1


# -- nothing is wrong -------------------------------------------------------------------------------------------------


def test_a_site_as_it_was_written_is_whole(made: Evidence) -> None:
    findings = made.verify()
    assert (findings.exit_code, findings.bad, findings.notes) == (WHOLE, [], [])
    records = len(made.plant.codes())
    assert (findings.trail.records, findings.trail.holds_until) == (records, records)
    assert findings.trail.head == made.plant.world.trail()[-1].hash.hex()
    assert findings.witness.agrees_until == records
    assert [one.state for one in findings.recordings] == ["sealed"]


def test_a_session_that_goes_on_is_unfinished_and_sound(made: Evidence) -> None:
    recorded = made.more()
    findings = made.verify()
    assert findings.exit_code == UNFINISHED
    assert [one.state for one in findings.recordings] == ["sealed", "open"]
    assert findings.notes == [f"no checkpoint vouches yet for what follows record {findings.witness.agrees_until}"]
    made.leave_broken(recorded)
    findings = made.verify()
    assert findings.exit_code == UNFINISHED
    assert [one.state for one in findings.recordings] == ["sealed", "broken"]


def test_a_recording_sealed_before_control_heard_of_it_is_sound(made: Evidence) -> None:
    recorded = made.more()
    recorded.writer.seal("client_left", 1)
    (_, outcome) = made.verify().recordings
    assert (outcome.state, outcome.message) == ("open", "sealed, but its end is not on the trail yet")


def test_without_a_witness_nobody_can_say_whole(made: Evidence) -> None:
    scope = verification.Scope(made.plant.recordings_dir, None, None)
    findings = verification.verify(made.plant.world.database, scope)
    assert findings.exit_code == UNFINISHED
    assert any("no witness" in note for note in findings.notes)


def test_one_file_alone_is_verified_against_the_trail(made: Evidence, tmp_path: Path) -> None:
    made.more()
    copy = tmp_path / "from-the-auditor.bin"
    copy.write_bytes(made.sealed.path.read_bytes())
    findings = made.verify(only=copy)
    assert findings.exit_code == WHOLE
    assert [one.recording_id for one in findings.recordings] == [made.sealed.recording_id]


def test_a_file_that_never_became_a_session_is_only_noted(made: Evidence) -> None:
    (made.plant.recordings_dir / "rec_00000000000000000000000000.sallyrec").write_bytes(b"SALLY")
    findings = made.verify()
    assert findings.exit_code == WHOLE
    assert any("not on the trail" in note for note in findings.notes)


# -- recordings -------------------------------------------------------------------------------------------------------


def test_one_flipped_byte_anywhere_in_a_recording_is_found(made: Evidence) -> None:
    path, whole = made.sealed.path, made.sealed.path.read_bytes()
    for position in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[position] ^= 0x40
        path.write_bytes(bytes(changed))
        findings = made.verify()
        assert first_bad(findings)[0] == "recording", position
        assert made.sealed.recording_id in findings.bad[0].place


def test_a_dropped_record_is_named_with_its_place(made: Evidence) -> None:
    front, records = pieces(made.sealed.path)
    put_together(made.sealed.path, front, [*records[:2], *records[3:]])
    part, kind, place = first_bad(made.verify())
    assert (part, kind) == ("recording", "dropped")
    assert place.startswith(f"{made.sealed.recording_id}, batch 3, 0.00")


def test_reordered_records_are_named(made: Evidence) -> None:
    front, records = pieces(made.sealed.path)
    put_together(made.sealed.path, front, [records[0], records[2], records[1], *records[3:]])
    part, kind, place = first_bad(made.verify())
    assert (part, kind) == ("recording", "reordered")
    assert "batch 2" in place


def test_a_recording_cut_anywhere_is_found(made: Evidence) -> None:
    front, records = pieces(made.sealed.path)
    for kept in range(len(records)):
        put_together(made.sealed.path, front, records[:kept])
        part, kind, _ = first_bad(made.verify())
        assert part == "recording"
        assert kind in {"truncated", "missing_trailer"}, kept
    for size in (len(front) + 10, len(front) // 2, 1, 0):
        put_together(made.sealed.path, (front + b"".join(records))[:size], [])
        assert first_bad(made.verify())[0] == "recording"


def test_a_lost_file_is_named(made: Evidence) -> None:
    made.sealed.path.unlink()
    assert first_bad(made.verify()) == ("recording", "missing", made.sealed.recording_id)


def test_the_file_of_another_session_does_not_pass_for_this_one(made: Evidence) -> None:
    other = made.more()
    made.seal(other)
    made.sealed.path.write_bytes(other.path.read_bytes())
    assert first_bad(made.verify())[:2] == ("recording", "wrong_key")


def test_a_recording_that_the_trail_does_not_know_is_bad_when_asked_for(made: Evidence, tmp_path: Path) -> None:
    strange = tmp_path / "rec_00000000000000000000000000.sallyrec"
    strange.write_bytes(b"not even a recording")
    part, kind, place = first_bad(made.verify(only=strange))
    assert (part, kind, place) == ("recording", "not_audited", "rec_00000000000000000000000000")


# -- the trail --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["at", "code", "actor", "subject", "params_json", "previous_hash", "hash"])
def test_one_flipped_byte_in_any_column_of_the_trail_is_found(made: Evidence, column: str) -> None:
    number = _number_of(made, "sessions.session.admitted")
    with made.plant.world.database.engine.connect() as connection:
        kind, stored = connection.exec_driver_sql(
            f"SELECT typeof({column}), CAST({column} AS BLOB) FROM audit_events WHERE seq = {number}"  # noqa: S608
        ).one()
    for position in range(0, len(stored), max(1, len(stored) // 6)):
        changed = bytearray(stored)
        changed[position] ^= 0x01
        made.sql(f"UPDATE audit_events SET {column} = CAST(? AS {kind}) WHERE seq = {number}", bytes(changed))  # noqa: S608
        findings = made.verify()
        part, kind_of_break, place = first_bad(findings)
        assert (part, place) == ("trail", f"record {number}"), position
        assert kind_of_break == ("relinked" if column == "previous_hash" else "altered")
        assert findings.trail.holds_until == number - 1
        # What stands behind the break is still used: the recording's key and head are further on.
        assert [one.state for one in findings.recordings] == ["sealed"]


def test_a_changed_number_is_found(made: Evidence) -> None:
    made.sql("UPDATE audit_events SET seq = 9999 WHERE seq = 4")
    assert first_bad(made.verify()) == ("trail", "missing", "record 4")


def test_a_dropped_record_of_the_trail_is_found(made: Evidence) -> None:
    made.sql("DELETE FROM audit_events WHERE seq = 4")
    assert first_bad(made.verify()) == ("trail", "missing", "record 4")


def test_two_records_that_changed_places_are_found(made: Evidence) -> None:
    for old, new in ((4, -1), (5, 4), (-1, 5)):
        made.sql("UPDATE audit_events SET seq = ? WHERE seq = ?", new, old)
    assert first_bad(made.verify()) == ("trail", "relinked", "record 4")


def test_a_record_that_was_forged_to_fit_where_it_cannot_be_read_is_found(made: Evidence) -> None:
    made.sql("UPDATE audit_events SET code = CAST('x' AS BLOB) WHERE seq = 4")
    assert first_bad(made.verify()) == ("trail", "altered", "record 4")


def test_a_trail_without_its_end_holds_in_itself_and_is_found_by_the_witness(made: Evidence) -> None:
    last = len(made.plant.codes())
    made.sql("DELETE FROM audit_events WHERE seq > ?", last - 1)
    findings = made.verify()
    assert findings.trail.holds_until == last - 1
    assert Bad("witness", "truncated", f"record {last}", findings.bad[0].message) == findings.bad[0]


def test_a_history_rewritten_as_a_whole_is_found_only_by_the_witness(made: Evidence) -> None:
    first, second, third = (one.seq for one in made.witnessed().checkpoints)
    changed = first + 2
    assert changed <= second
    rewrite_from(made, changed, "psn_somebody_else")
    without = verification.verify(made.plant.world.database, verification.Scope(made.plant.recordings_dir, None, None))
    assert without.bad == []
    findings = made.verify()
    assert findings.trail.holds_until == third
    assert first_bad(findings) == ("witness", "rewritten", f"record {second}")
    assert f"the first change lies in {first + 1} to {second}" in findings.bad[0].message
    assert findings.witness.agrees_until == first


def test_a_history_rewritten_after_the_last_checkpoint_does_not_show(made: Evidence) -> None:
    """The honest limit: what no witness has seen is only as true as whoever holds the database."""
    made.more()
    last = len(made.plant.codes())
    rewrite_from(made, last, "psn_somebody_else")
    assert made.verify().bad == []


def test_a_forged_line_of_the_witness_is_named(made: Evidence) -> None:
    lines = made.witness_file.read_bytes().splitlines()
    lines[1] = lines[1].replace(b'"site":"north"', b'"site":"south"')
    witnessed = read_witness(lines, KEY.public_key(), "north")
    part, kind, place = first_bad(made.verify(witnessed=witnessed))
    assert (part, kind, place) == ("witness", "not_authentic", "line 2")


# -- words, and the site's own files ----------------------------------------------------------------------------------


def test_the_first_bad_thing_is_the_first_line(made: Evidence) -> None:
    made.sealed.path.unlink()
    made.sql("DELETE FROM audit_events WHERE seq = 4")
    findings = made.verify()
    lines = list(findings.lines())
    assert lines[0].startswith("FIRST BAD: trail: missing at record 4:")
    assert any(line.startswith("also bad: recording: missing") for line in lines)
    assert json.loads(json.dumps(findings.as_json()))["first_bad"]["place"] == "record 4"


def _begin_trail(settings: Settings) -> None:
    with wiring.opened(settings) as house:
        house.people.first_administrator("chief")
        house.witness.conclude()


@pytest.mark.usefixtures("new_site")
def test_a_site_is_verified_with_its_public_keys_alone(settings: Settings, tmp_path: Path) -> None:
    _begin_trail(settings)
    for secret in Layout.of(settings).control.glob("*.sealed"):
        secret.unlink()
    (Layout.of(settings).control / keys.KEY_ENCRYPTION_KEY).unlink()
    with verification.gathered(settings) as scope:
        findings = verification.verify_site(settings, scope)
    assert findings.exit_code == WHOLE
    assert findings.witness.checkpoints == 1


@pytest.mark.usefixtures("new_site")
def test_an_auditors_own_copies_are_used_when_they_are_named(settings: Settings, tmp_path: Path) -> None:
    _begin_trail(settings)
    layout = Layout.of(settings)
    mine = tmp_path / "mine.jsonl"
    mine.write_bytes(layout.witness_file(settings).read_bytes())
    layout.witness_file(settings).write_bytes(b"")
    with verification.gathered(settings, witness=mine, checkpoint_key=layout.checkpoint_public) as scope:
        assert verification.verify_site(settings, scope).witness.checkpoints == 1
    other = replace(settings, site=replace(settings.site, name="other"))
    with verification.gathered(other, witness=mine) as scope:
        assert verification.verify_site(other, scope).exit_code == BAD


@pytest.mark.usefixtures("new_site")
def test_what_cannot_be_read_is_named(settings: Settings, tmp_path: Path) -> None:
    _begin_trail(settings)
    layout = Layout.of(settings)
    absent, junk = tmp_path / "absent", tmp_path / "junk"
    junk.write_bytes(b"junk")
    for wrong in ({"witness": absent}, {"recording": absent}, {"checkpoint_key": absent}, {"checkpoint_key": junk}):
        with pytest.raises(CommandError), verification.gathered(settings, **wrong):
            pass
    junk.write_bytes(
        X25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(CommandError, match="Ed25519"), verification.gathered(settings, checkpoint_key=junk):
        pass
    (layout.control / "sallyport.db").unlink()
    with verification.gathered(settings) as scope, pytest.raises(CommandError, match="no such database"):
        verification.verify_site(settings, scope)
