"""A recorded session: its row in the index and its file on disk."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from broker.identities.testing import NOON
from broker.recordings.files import file_name_of
from broker.recordings.model import ClosedFacts, OpenedFacts, RecordingState
from broker.sessions.model import Ended
from recorder.frames import Frame, FrameKind
from recorder.manifest import RecordingHeader
from recorder.seal import Random
from recorder.writer import RecordingWriter
from tests.unit.broker.sessions.plant import GATEWAY, Plant

NOW_MS = int(NOON.timestamp() * 1000)
FRAMES = (
    Frame(FrameKind.SHELL, 0, 1_000, b""),
    Frame(FrameKind.OUTPUT, 0, 2_000, "你好\r\n".encode()),
    Frame(FrameKind.INPUT, 0, 3_000, b"typed by hand"),
    Frame(FrameKind.EXEC, 1, 4_000, b"uptime"),
    Frame(FrameKind.NOTE, 0, 5_000, b'{"kind":"session.command.blocked","text":"rm -rf /srv/data","rule_id":"r7"}'),
    Frame(FrameKind.OUTPUT, 0, 6_000, b"bye\r\n"),
)


@dataclass
class Recorded:
    """One session's recording."""

    session_id: str
    recording_id: str
    path: Path
    writer: RecordingWriter


def open_recording_of(plant: Plant, random: Random = secrets.token_bytes) -> Recorded:
    """A live session whose recording is open and holds six frames."""
    admitted = plant.admitted()
    path = plant.recordings_dir / file_name_of(admitted.recording_id)
    header = RecordingHeader(admitted.recording_id, admitted.session_id, NOW_MS, "ssh", width=100, height=30)
    writer = RecordingWriter.create(
        path, header=header, recipient_public=plant.unseal_public, now_ms=NOW_MS, random=random
    )
    plant.sessions.lease(
        GATEWAY,
        admitted.session_id,
        admitted.verdict.permit.permit_id,
        OpenedFacts(writer.signing_public, writer.header_sha256),
        str(path),
    )
    for frame in FRAMES:
        writer.append([frame])
    return Recorded(admitted.session_id, admitted.recording_id, path, writer)


def seal(plant: Plant, recorded: Recorded, seq: int = 1) -> None:
    """Seal the file and tell control."""
    head = recorded.writer.seal("client_left", NOW_MS + 60_000)
    facts = ClosedFacts(
        RecordingState.SEALED, head.frames, head.batches, head.bytes, head.chain_sha256, head.signature, NOON
    )
    plant.reports.ended(GATEWAY, "boot-1", seq, Ended(recorded.session_id, "client_left", NOON, facts, 0))


def leave_broken(plant: Plant, recorded: Recorded, seq: int = 1) -> None:
    """The gateway died; control knows only that."""
    recorded.writer.close_broken()
    plant.reports.ended(GATEWAY, "boot-1", seq, Ended(recorded.session_id, "gateway_lost", NOON, None, None))
