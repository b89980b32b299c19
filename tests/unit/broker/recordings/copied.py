"""A plant whose recordings are copied into a bucket in memory, through the archive's own socket."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from broker.adapters.object_store.client import ArchiveClient
from broker.adapters.object_store.testing import PART_BYTES, ArchiveRig
from broker.audit.model import AuditRecord
from broker.recordings import copy_store
from broker.recordings.copy_model import Copy
from broker.recordings.copying import Copying, CopyTerms
from broker.recordings.places import Places
from broker.sessions.gateway_events import RELEASE
from broker.sessions.model import Report, ReportedEvent
from recorder.stores.testing import BUCKET
from tests.unit.broker.recordings.old import Archive, an_archive
from tests.unit.broker.sessions.plant import CHECKPOINT_KEY, GATEWAY, Plant

KEEP_LOCAL = timedelta(days=7)


@dataclass
class Copied:
    """`copying` is control's; `rig` the archive and its bucket; `sent` the gateway's orders."""

    plant: Plant
    archive: Archive
    rig: ArchiveRig
    client: ArchiveClient
    copying: Copying
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    reports: int = 0

    def again(self) -> None:
        """Control starts anew."""
        self.copying = self._made()

    def _made(self) -> Copying:
        return _copying(self.plant, self.rig, self.client, self.sent)

    def steps(self, count: int = 6) -> None:
        for _ in range(count):
            self.copying.step()
            self.copying.read_back()

    def move(self, by: timedelta) -> None:
        self.plant.world.clock.move(by)
        self.rig.move(by)

    def copy(self, recording_id: str) -> Copy:
        with self.plant.world.database.reading() as session:
            return copy_store.copies(session, [recording_id])[recording_id]

    def told(self, *codes: str) -> list[AuditRecord]:
        return [one for one in self.plant.world.trail() if one.code in codes]

    def answer(self, recording_id: str, outcome: str) -> None:
        """What the gateway says of a release."""
        self.reports += 1
        event = ReportedEvent(RELEASE, self.plant.world.clock.now(), {"recording_id": recording_id, "outcome": outcome})
        self.plant.reports.report(GATEWAY, Report(None, "boot-release", self.reports, (event,)))


def _copying(plant: Plant, rig: ArchiveRig, client: ArchiveClient, sent: list[tuple[str, bytes]]) -> Copying:
    terms = CopyTerms(BUCKET, PART_BYTES, timedelta(days=180), KEEP_LOCAL, None, lambda: rig.receipts_public)
    places = Places(plant.recordings_dir)
    copying = Copying(plant.world.database, plant.world.clock, archive=client, places=places, terms=terms)
    copying.connect(workers=lambda: ["w1"], send=lambda worker, line: sent.append((worker, line)))
    plant.reports.on_release(copying.released_within)
    return copying


@contextmanager
def copied_plant(plant: Plant, folder: Path) -> Iterator[Copied]:
    """Everything, with an archive that serves until the end of the block."""
    rig = ArchiveRig(folder / "archive.sock", checkpoint=CHECKPOINT_KEY, now=plant.world.clock.now())
    rig.bucket.now = plant.world.clock.now()
    with rig.serving() as client:
        sent: list[tuple[str, bytes]] = []
        copying = _copying(plant, rig, client, sent)
        plant.recordings._places._store = client
        yield Copied(plant, an_archive(plant), rig, client, copying, sent)
