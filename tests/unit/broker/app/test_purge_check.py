"""A missing recording is tampering, unless two people destroyed it lawfully: the trail tells the two apart."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from broker.app.verification import BAD, WHOLE, Findings, Scope, verify
from broker.recordings.events import PurgeAsked, PurgeConfirmed, RecordingPurged
from recorder.purged import leave_tombstone, remove_file
from tests.unit.broker.app.evidence import KEY, Evidence, evidence
from tests.unit.broker.recordings.old import KEEP, Archive, an_archive
from tests.unit.broker.sessions.plant import a_plant


@dataclass
class Site:
    made: Evidence
    archive: Archive
    purge_id: str
    path: Path

    def findings(self) -> Findings:
        self.made.witness().conclude()
        return self.made.verify()

    def remove(self) -> None:
        """As the gateway does it."""
        self.archive.removals.remove_waiting()
        (_, line) = self.archive.ordered[-1]
        leave_tombstone(self.path, line)
        remove_file(self.path)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A recording whose time is over, and the ask to destroy it."""
    plant = a_plant(tmp_path)
    archive = an_archive(plant)
    made = evidence(plant)
    plant.world.clock.move(KEEP)
    purge_id, _ = archive.asked([made.sealed.recording_id])
    yield Site(made, archive, purge_id, made.sealed.path)
    plant.world.database.close()


def confirm(site: Site) -> None:
    reviewed = site.archive.purging.purge_list(site.purge_id).purge.list_sha256
    site.archive.purging.confirm_purge(site.archive.auditor.id, site.purge_id, reviewed)


def first_bad(findings: Findings) -> tuple[str, str]:
    assert findings.exit_code == BAD
    return findings.bad[0].part, findings.bad[0].kind


def test_a_recording_with_its_tombstone_is_a_lawful_purge(site: Site) -> None:
    confirm(site)
    waiting = site.findings()
    assert (waiting.exit_code, [one.state for one in waiting.recordings]) == (WHOLE, ["purged"])
    assert "waits for its removal" in waiting.recordings[0].message
    site.remove()
    findings = site.findings()
    assert (findings.exit_code, findings.bad, findings.notes) == (WHOLE, [], [])
    assert "is gone" in findings.recordings[0].message
    assert "recordings: 0 sealed, 0 open, 0 broken, 1 purged, 0 bad" in list(findings.lines())


def test_a_missing_recording_without_a_tombstone_is_tampering(site: Site) -> None:
    site.path.unlink()
    assert first_bad(site.findings()) == ("recording", "missing")


def test_a_tombstone_beside_it_that_the_trail_does_not_know_makes_nothing_lawful(site: Site) -> None:
    confirm(site)
    site.remove()
    # A history in which nobody destroyed anything, as after a restore of an older database.
    site.made.sql("DELETE FROM audit_events WHERE code LIKE 'recordings.purge.%' OR code LIKE '%.purged'")
    missing = [one for one in site.made.verify().bad if one.part == "recording"]
    assert [one.kind for one in missing] == ["missing"]
    assert "not audited" in missing[0].message


def purged_event(site: Site) -> RecordingPurged:
    """The event that a lawful confirmation would write, its trail rolled back."""
    confirm(site)
    record = site.archive.plant.world.trail()[-1]
    assert record.code == RecordingPurged.code
    with site.archive.plant.world.database.engine.begin() as connection:
        for code in ("recordings.recording.purged", "recordings.purge.confirmed", "recordings.purge.asked"):
            connection.exec_driver_sql(
                "DELETE FROM outbox WHERE seq IN (SELECT seq FROM audit_events WHERE code = ?)", (code,)
            )
            connection.exec_driver_sql("DELETE FROM audit_events WHERE code = ?", (code,))
    return RecordingPurged(actor=record.actor, subject=record.subject, **record.params)  # type: ignore[arg-type]


def write(site: Site, *events: object) -> None:
    """What somebody with control's database and code, but without its promises, writes."""
    with site.archive.plant.world.database.unit_of_work() as unit:
        for event in events:
            unit.emit(event)


def asked_and_confirmed(event: RecordingPurged, confirmer: str | None = None) -> list[object]:
    about = {"recordings": 1, "bytes": 1, "list_sha256": ""}
    return [
        PurgeAsked(actor=event.asked_by, subject=event.purge_id, expires_at_ms=0, reason="x", **about),  # type: ignore[arg-type]
        PurgeConfirmed(
            actor=confirmer or event.actor,
            subject=event.purge_id,
            asked_by=event.asked_by,
            **about,  # type: ignore[arg-type]
        ),
    ]


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("unasked", "purge_not_confirmed"),
        ("other_confirmer", "purge_not_confirmed"),
        ("other_signature", "forged_tombstone"),
        ("changed", "forged_tombstone"),
        ("alone", "forged_tombstone"),
        ("held", "purged_on_hold"),
        ("other_recording", "altered_facts"),
    ],
)
def test_an_unlawful_purge_is_named(site: Site, how: str, kind: str) -> None:
    held = site.archive.holding.place_hold(site.archive.auditor.id, site.made.sealed.recording_id, "case")
    site.archive.holding.lift_hold(site.archive.security.id, held.id, "over")
    event = purged_event(site)
    before: list[object] = asked_and_confirmed(event)
    match how:
        case "unasked":
            before = []
        case "other_confirmer":
            before = asked_and_confirmed(event, "psn_somebody")
        case "other_signature":
            event = replace(event, signature=KEY.sign(b"something else").hex())
        case "changed":
            event = replace(event, frames=event.frames + 1)
        case "alone":
            event = replace(event, actor=event.asked_by)
            before = asked_and_confirmed(event)
        case "held":
            with site.archive.plant.world.database.engine.begin() as connection:
                connection.exec_driver_sql("DELETE FROM audit_events WHERE code = 'recordings.hold.lifted'")
        case _:
            with site.archive.plant.world.database.engine.begin() as connection:
                connection.exec_driver_sql(
                    "UPDATE audit_events SET params_json = replace(params_json, ?, ?) WHERE code LIKE '%.opened'",
                    (event.header_sha256, "00" * 32),
                )
    write(site, *before, event)
    site.path.unlink()
    findings = site.made.verify()
    assert [(one.part, one.kind) for one in findings.bad if one.part == "recording"] == [("recording", kind)]


def test_a_purge_that_is_younger_than_the_recording_may_be_is_named(site: Site) -> None:
    event = purged_event(site)
    write(site, *asked_and_confirmed(event), event)
    with site.archive.plant.world.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE audit_events SET at = (SELECT at FROM audit_events WHERE code LIKE '%.purged') "
            "WHERE code = 'recordings.recording.opened'"
        )
    site.path.unlink()
    assert "purged_too_early" in [one.kind for one in site.made.verify().bad]


def test_without_the_checkpoint_key_no_tombstone_is_believed(site: Site) -> None:
    confirm(site)
    site.remove()
    scope = Scope(site.archive.plant.recordings_dir, None, None)
    findings = verify(site.archive.plant.world.database, scope)
    assert first_bad(findings) == ("recording", "forged_tombstone")
