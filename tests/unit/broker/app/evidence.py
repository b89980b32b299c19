"""A site with evidence to verify: a trail, checkpoints and recordings in every state; and ways to change them."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.app.verification import BAD, Findings, Scope, verify
from broker.audit import witness as witnesses
from broker.audit.chain import GENESIS, canonical, link
from broker.audit.store import walk
from broker.audit.witness import Witness, Witnessed
from recorder.walk import read_front, read_records
from tests.unit.broker.recordings.files import Recorded, leave_broken, open_recording_of, seal
from tests.unit.broker.sessions.plant import Plant

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@dataclass
class Evidence:
    """What an auditor comes to look at."""

    plant: Plant
    witness_file: Path
    sealed: Recorded

    def witness(self) -> Witness:
        world = self.plant.world
        return Witness(world.database, world.clock, site="north", path=self.witness_file, key=KEY)

    def witnessed(self) -> Witnessed:
        with self.witness_file.open("rb") as lines:
            return witnesses.read(lines, KEY.public_key(), "north")

    def verify(self, *, witnessed: Witnessed | None = None, only: Path | None = None) -> Findings:
        """Against the site's witness, unless another is given."""
        stream = (only.name, BytesIO(only.read_bytes())) if only is not None else None
        public = KEY.public_key().public_bytes_raw()
        scope = Scope(self.plant.recordings_dir, None, witnessed or self.witnessed(), stream, public)
        return verify(self.plant.world.database, scope)

    def sql(self, statement: str, *values: object) -> None:
        """What somebody with the database's file and without our code does."""
        with self.plant.world.database.engine.begin() as connection:
            connection.exec_driver_sql(statement, values)

    def more(self) -> Recorded:
        return open_recording_of(self.plant)

    def leave_broken(self, recorded: Recorded, seq: int = 2) -> None:
        leave_broken(self.plant, recorded, seq)

    def seal(self, recorded: Recorded, seq: int = 2) -> None:
        seal(self.plant, recorded, seq)


def evidence(plant: Plant) -> Evidence:
    """A sealed recording, and a checkpoint for every few records of the trail."""
    made = Evidence(plant, plant.recordings_dir.parent / "checkpoints.jsonl", sealed=None)  # type: ignore[arg-type]
    made.witness().conclude()
    recorded = open_recording_of(plant)
    made.witness().conclude()
    seal(plant, recorded)
    made.witness().conclude()
    made.sealed = recorded
    return made


def first_bad(findings: Findings) -> tuple[str, str, str]:
    """Part, kind and place of the first bad thing; there must be one."""
    assert findings.exit_code == BAD
    first = findings.bad[0]
    return first.part, first.kind, first.place


def rewrite_from(made: Evidence, seq: int, actor: str) -> None:
    """Another history from this record on that fits in itself, as one writes who has the database and our code."""
    with made.plant.world.database.reading() as session:
        records = list(walk(session))
    previous = GENESIS
    for record in records:
        who = actor if record.seq == seq else record.actor
        linked = link(previous, canonical(record.seq, record.at, record.code, who, record.subject, record.params))
        statement = "UPDATE audit_events SET actor = ?, previous_hash = ?, hash = ? WHERE seq = ?"
        made.sql(statement, who, previous, linked, record.seq)
        previous = linked


def pieces(path: Path) -> tuple[bytes, list[bytes]]:
    """A recording's front, and each of its records."""
    content = path.read_bytes()
    stream = BytesIO(content)
    front = read_front(stream)
    offsets = [offset for offset, _ in read_records(stream, front.end, len(content))]
    return content[: front.end], [content[start:end] for start, end in pairwise([*offsets, len(content)])]


def put_together(path: Path, front: bytes, records: Sequence[bytes]) -> None:
    path.write_bytes(front + b"".join(records))
