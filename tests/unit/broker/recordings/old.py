"""Recordings that ended long ago, the people who decide about them, and the services that hold and destroy."""

from dataclasses import dataclass, field
from datetime import timedelta

from broker.identities.model import Person, Role
from broker.recordings.holding import Holding
from broker.recordings.purging import Purging, Retention
from broker.recordings.removal import Removals
from broker.sessions.words import SessionWording
from tests.unit.broker.recordings.files import Recorded, leave_broken, open_recording_of, seal
from tests.unit.broker.sessions.plant import CHECKPOINT_KEY, Plant

KEY = CHECKPOINT_KEY
PUBLIC = KEY.public_key().public_bytes_raw()
SITE = "hefei-2"
KEEP = timedelta(days=180)


@dataclass
class Archive:
    """Everything that has to do with retention, on a plant."""

    plant: Plant
    system: Person
    security: Person
    auditor: Person
    holding: Holding
    purging: Purging
    removals: Removals
    ordered: list[tuple[str, bytes]] = field(default_factory=list)
    ended: int = 0

    def recorded(self, *, broken: bool = False) -> Recorded:
        """A recording that ends now; its session's end is told to control."""
        one = open_recording_of(self.plant)
        self.ended += 1
        (leave_broken if broken else seal)(self.plant, one, self.ended)
        return one

    def old(self, count: int = 1) -> list[str]:
        """The ids of sealed recordings whose time is just over, in order."""
        ids = sorted(self.recorded().recording_id for _ in range(count))
        self.plant.world.clock.move(KEEP)
        return ids

    def asked(self, ids: list[str]) -> tuple[str, bytes]:
        """A purge of these recordings that waits, and its list's name."""
        purge = self.purging.ask_purge(self.system.id, ids, "the disk is full of last year")
        return purge.id, purge.list_sha256

    def purged(self, count: int = 1) -> list[str]:
        """Recordings that two people destroyed; their files are still there."""
        ids = self.old(count)
        purge_id, reviewed = self.asked(ids)
        self.purging.confirm_purge(self.auditor.id, purge_id, reviewed)
        return ids


def an_archive(plant: Plant, keep: timedelta = KEEP) -> Archive:
    """The services over this plant, with one person of each role that has a say."""
    world = plant.world
    removals = Removals(world.database, world.clock)
    archive = Archive(
        plant=plant,
        system=world.somebody(Role.SYSTEM_ADMINISTRATOR),
        security=world.somebody(Role.SECURITY_ADMINISTRATOR),
        auditor=world.somebody(Role.AUDITOR),
        holding=Holding(world.database, world.clock),
        purging=Purging(
            world.database,
            world.clock,
            people=world.people,
            recordings=plant.recordings,
            words_of=SessionWording(world.people, world.targets).words_within,
            retention=Retention(SITE, keep, KEY.sign),
        ),
        removals=removals,
    )
    plant.reports.on_removal(removals.removal_within)
    removals.connect(workers=lambda: ["w1"], send=lambda worker, line: archive.ordered.append((worker, line)))
    return archive
