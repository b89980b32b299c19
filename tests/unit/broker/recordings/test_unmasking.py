"""Typed secrets: two auditors, two people, audited."""

import os
import secrets
from datetime import timedelta

import pytest

from broker.identities.testing import NOON
from broker.kernel.errors import Conflict
from broker.recordings.files import file_name_of
from broker.recordings.model import OpenedFacts
from broker.recordings.unmasking import Unmasking
from recorder.frames import Frame, FrameKind
from recorder.manifest import RecordingHeader
from recorder.masking import HiddenInput, Mask, open_part
from recorder.seal import generate_recipient
from recorder.writer import RecordingWriter
from tests.unit.broker.recordings.files import open_recording_of
from tests.unit.broker.sessions.plant import GATEWAY, Plant

ONE, OTHER = generate_recipient(), generate_recipient()


class Masked:
    """A live recording with one hidden word, and the two auditors' parts."""

    def __init__(self, plant: Plant) -> None:
        self.unmasking = Unmasking(plant.world.database, plant.world.clock, plant.recordings)
        admitted = plant.admitted()
        self.id = admitted.recording_id
        path = plant.recordings_dir / file_name_of(self.id)
        mask = Mask.generate([ONE[1], OTHER[1]], self.id, os.urandom)
        writer = RecordingWriter.create(
            path,
            header=RecordingHeader(self.id, admitted.session_id, int(NOON.timestamp() * 1000), "ssh", 80, 24),
            recipient_public=plant.unseal_public,
            now_ms=int(NOON.timestamp() * 1000),
            random=secrets.token_bytes,
            mask=mask,
        )
        facts = OpenedFacts(writer.signing_public, writer.header_sha256)
        plant.sessions.lease(GATEWAY, admitted.session_id, admitted.verdict.permit.permit_id, facts, str(path))
        writer.append([mask.seal(Frame(FrameKind.MASKED_INPUT, 1, 5_000, b"hunter2\r"))])
        sealed = self.unmasking.sealed_parts(self.id)
        self.parts = [open_part(sealed[0], ONE[0], self.id, 0), open_part(sealed[1], OTHER[0], self.id, 1)]


def test_the_second_of_two_auditors_reads_and_the_trail_says_who_asked_and_who_read(plant: Plant) -> None:
    one = Masked(plant)
    assert one.unmasking.offer("psn_a", one.id, 0, one.parts[0]).pieces is None
    assert one.unmasking.offer("psn_b", one.id, 1, one.parts[1]).pieces == [HiddenInput(5_000, 1, b"hunter2\r")]
    trail = [event for event in plant.world.trail() if ".unmask" in event.code]
    assert [(event.code.rpartition(".")[2], event.actor) for event in trail] == [
        ("unmask_asked", "psn_a"),
        ("unmasked", "psn_b"),
    ]
    assert trail[1].params["with_auditor"] == "psn_a"
    assert "hunter2" not in str(trail)


def test_one_person_with_both_parts_reads_nothing(plant: Plant) -> None:
    one = Masked(plant)
    one.unmasking.offer("psn_a", one.id, 0, one.parts[0])
    with pytest.raises(Conflict) as refusal:
        one.unmasking.offer("psn_a", one.id, 1, one.parts[1])
    assert refusal.value.code == "recordings.two_auditors"
    assert "recordings.recording.unmasked" not in plant.codes()


def test_a_part_waits_a_quarter_of_an_hour(plant: Plant) -> None:
    one = Masked(plant)
    one.unmasking.offer("psn_a", one.id, 0, one.parts[0])
    plant.world.clock.move(timedelta(minutes=15, seconds=1))
    assert one.unmasking.offer("psn_b", one.id, 1, one.parts[1]).pieces is None


def test_false_parts_open_nothing_are_forgotten_and_stand_in_the_trail(plant: Plant) -> None:
    one = Masked(plant)
    one.unmasking.offer("psn_a", one.id, 0, one.parts[0])
    with pytest.raises(Conflict) as refusal:
        one.unmasking.offer("psn_b", one.id, 1, bytes(32))
    assert refusal.value.code == "recordings.not_the_parts"
    assert plant.codes()[-1] == "recordings.recording.unmask_refused"
    assert one.unmasking.offer("psn_b", one.id, 1, one.parts[1]).pieces is None


def test_a_recording_without_a_mask_says_so(plant: Plant) -> None:
    recorded = open_recording_of(plant)
    unmasking = Unmasking(plant.world.database, plant.world.clock, plant.recordings)
    with pytest.raises(Conflict) as refusal:
        unmasking.sealed_parts(recorded.recording_id)
    assert refusal.value.code == "recordings.nothing_masked"
