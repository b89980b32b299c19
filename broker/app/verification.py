"""`sallyport verify`: is what the site holds as evidence what was once written? Reads only, without any private key.

Three things are checked against each other: the audit trail in itself (hash chain), the trail against the witness's
checkpoints, and every recording against the key and the head that the trail holds for it. The index of recordings,
which the console shows, is compared with the trail too, and so are the receipts of devices.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Literal, assert_never

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from broker.adapters.db.database import Database
from broker.app import index_check, receipt_check
from broker.app.errors import CommandError
from broker.app.layout import Layout
from broker.app.object_store import client_of
from broker.app.purge_check import CODES as PURGE_CODES
from broker.app.purge_check import Purges
from broker.app.settings import Settings
from broker.audit import inspection
from broker.audit.chain import GENESIS, Break, Verified
from broker.audit.chain import verify as verify_chain
from broker.audit.checkpoint import Comparison
from broker.audit.inspection import Stored
from broker.audit.model import AuditRecord
from broker.audit.witness import Witnessed
from broker.audit.witness import read as read_witness
from broker.kernel.ids import is_id
from broker.recordings.audited import AuditedRecording, Outcome, check, check_stream, destroyed, not_good, told
from broker.recordings.files import SUFFIX, file_name_of
from recorder.errors import DamagedRecordingError
from recorder.stores.port import Readable
from recorder.tombstone import SUFFIX as TOMBSTONE_SUFFIX
from recorder.walk import read_front

WHOLE: Final = 0
BAD: Final = 1
UNFINISHED: Final = 3
_MOST_STRANGE: Final = 20
_BREAKS: Final = {
    "altered": "the record is not the one that was written",
    "missing": "the record that should stand here is not there",
    "relinked": "the record does not follow the one before it",
}
Part = Literal["trail", "witness", "recording", "receipt", "index"]


@dataclass(frozen=True)
class Bad:
    """Something that is not as it was written: what kind of change, and where."""

    part: Part
    kind: str
    place: str
    message: str


@dataclass(frozen=True)
class TrailState:
    """The trail in itself: how far it holds, and its head there."""

    records: int
    holds_until: int
    head: str


@dataclass(frozen=True)
class WitnessState:
    """The trail against the witness. `agrees_until` is the last record that a checkpoint vouches for."""

    is_there: bool
    checkpoints: int
    torn_lines: int
    agrees_until: int
    newest_at: str | None


@dataclass(frozen=True)
class Findings:
    """What a verification found, the first bad thing first."""

    trail: TrailState
    witness: WitnessState
    recordings: Sequence[Outcome]
    bad: Sequence[Bad]
    notes: Sequence[str] = field(default=())

    @property
    def exit_code(self) -> int:
        """0: everything is whole · 1: something is bad · 3: sound, but something is unfinished or not witnessed."""
        if self.bad:
            return BAD
        unfinished = any(one.state not in {"sealed", "purged"} for one in self.recordings)
        return UNFINISHED if unfinished or not self.witness.is_there else WHOLE

    def as_json(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "exit_code": self.exit_code,
            "first_bad": asdict(self.bad[0]) if self.bad else None,
            "bad": [asdict(one) for one in self.bad],
            "trail": asdict(self.trail),
            "witness": asdict(self.witness),
            "recordings": [asdict(one) for one in self.recordings],
            "notes": list(self.notes),
        }

    def lines(self) -> Iterator[str]:
        """Words for people."""
        for position, bad in enumerate(self.bad):
            rank = "FIRST BAD" if position == 0 else "also bad"
            yield f"{rank}: {bad.part}: {bad.kind} at {bad.place}: {bad.message}"
        trail, witness = self.trail, self.witness
        yield f"trail: {trail.records} records; holds up to record {trail.holds_until}, head {trail.head}"
        if witness.is_there:
            yield (
                f"witness: {witness.checkpoints} checkpoints, the newest of {witness.newest_at or 'none'};"
                f" they vouch for the trail up to record {witness.agrees_until}"
            )
        counts = dict.fromkeys(("sealed", "open", "broken", "purged", "bad"), 0)
        for one in self.recordings:
            counts[one.state] += 1
        yield "recordings: " + ", ".join(f"{count} {state}" for state, count in counts.items())
        for one in self.recordings:
            if one.state != "sealed":
                yield f"  {one.recording_id}: {one.state}: {one.message}"
        yield from (f"note: {note}" for note in self.notes)


@dataclass(frozen=True)
class Scope:
    """What to verify against. `only`: just this recording, by name and open file. `witnessed` None: no witness.

    `checkpoint_public` signs tombstones; without it none is believed. `store` has copies of what left the folder."""

    recordings_dir: Path
    evidence_public: bytes | None
    witnessed: Witnessed | None
    only: tuple[str, BinaryIO] | None = None
    checkpoint_public: bytes | None = None
    store: Readable | None = None


@contextmanager
def gathered(
    settings: Settings, recording: Path | None = None, witness: Path | None = None, checkpoint_key: Path | None = None
) -> Iterator[Scope]:
    """Read what a verification needs besides the database; None means the site's own file.

    Raises CommandError when a file that was named, or a public key, cannot be read.
    """
    layout = Layout.of(settings)
    key = _public_key(checkpoint_key or layout.checkpoint_public)
    witnessed = None
    with ExitStack() as opened:
        try:
            lines = opened.enter_context((witness or layout.witness_file(settings)).open("rb"))
            witnessed = read_witness(lines, key, settings.site.name)
        except FileNotFoundError:
            if witness is not None:
                raise CommandError(f"{witness}: there is no such file") from None
        except OSError as error:
            raise CommandError(f"{error.filename}: the witness file cannot be read ({error.strerror})") from None
        only = None
        if recording is not None:
            try:
                only = (recording.name, opened.enter_context(recording.open("rb", buffering=1 << 18)))
            except OSError as error:
                raise CommandError(f"{recording}: cannot be read ({error.strerror})") from None
        evidence_public = _public_key(layout.evidence_public).public_bytes_raw()
        public, store = key.public_bytes_raw(), client_of(settings, layout)
        yield Scope(layout.recordings, evidence_public, witnessed, only, public, store)


def verify_site(settings: Settings, scope: Scope) -> Findings:
    """Verify this site, as the control plane's user. Raises CommandError when the database cannot be read."""
    url = Layout.of(settings).database_url(settings)
    location = make_url(url)
    if location.drivername.startswith("sqlite") and not Path(location.database or "").is_file():
        raise CommandError(f"{location.database}: there is no such database")
    database = Database(url, _append_nothing)
    try:
        return verify(database, scope)
    except SQLAlchemyError as error:
        raise CommandError(f"the database cannot be read ({type(error).__name__})") from None
    finally:
        database.close()


def _append_nothing(_session: Session, _events: Sequence[object]) -> Sequence[int]:
    raise NotImplementedError("verifying writes nothing")


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise CommandError(f"{path}: holds no public key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise CommandError(f"{path}: holds no Ed25519 public key")
    return key


def verify(database: Database, scope: Scope) -> Findings:
    """Verify everything in scope; what is bad is a finding, never an exception."""
    checkpoints = scope.witnessed.checkpoints if scope.witnessed is not None else ()
    walked, comparison, facts = _Walked(), Comparison(checkpoints), _Facts(Purges(scope.checkpoint_public))
    with database.reading() as session:
        rows = inspection.walk(session)
        result = verify_chain(walked.records(rows, comparison, facts))
        trail_break = _first_break(result, walked.not_intact)
        holds_until, head = _good(result, trail_break, walked)
        for stored in rows:  # what stands behind a break still tells keys and heads of recordings
            walked.take(stored, comparison, facts)
        index = index_check.read(session)
        receipts = list(facts.receipts.against(session, facts.recordings))
    bad: list[Bad] = []
    if trail_break is not None:
        bad.append(Bad("trail", trail_break.kind, f"record {trail_break.seq}", _BREAKS[trail_break.kind]))
    bad += _against_witness(scope.witnessed, comparison)
    if scope.only is None:
        outcomes = [_checked(one, facts, scope) for one in facts.recordings.values()]
    else:
        outcomes = [_only(*scope.only, facts.recordings, scope.evidence_public)]
    bad += [
        Bad("recording", one.kind or "bad", one.place or one.recording_id, one.message)
        for one in outcomes
        if one.state == "bad"
    ]
    if scope.only is None:
        bad += [Bad("receipt", *one) for one in receipts]
        bad += [Bad("index", *one) for one in index_check.against(facts.recordings, index)]
    return Findings(
        trail=TrailState(walked.count, holds_until, head.hex()),
        witness=WitnessState(
            is_there=scope.witnessed is not None,
            checkpoints=len(checkpoints),
            torn_lines=scope.witnessed.torn_lines if scope.witnessed is not None else 0,
            agrees_until=comparison.agrees_until,
            newest_at=max(one.at for one in checkpoints).isoformat() if checkpoints else None,
        ),
        recordings=outcomes,
        bad=bad,
        notes=list(_notes(scope, facts, walked.count, comparison)),
    )


def _checked(audited: AuditedRecording, facts: "_Facts", scope: Scope) -> Outcome:
    judged = facts.purges.judged.get(audited.id)
    if judged is None:
        return check(audited, scope.recordings_dir, scope.evidence_public, scope.store)
    if judged.tombstone is None or judged.kind is not None:
        return not_good(audited.id, judged.kind or "forged_tombstone", judged.message or "")
    return destroyed(audited, scope.recordings_dir, judged.tombstone.bytes)


class _Facts:
    """What the trail says of recordings."""

    def __init__(self, purges: Purges) -> None:
        self.recordings: dict[str, AuditedRecording] = {}
        self.purges = purges
        self.receipts = receipt_check.Receipts()

    def take(self, record: AuditRecord) -> None:
        known = self.recordings.get(record.subject)
        if record.code in receipt_check.CODES:
            self.receipts.take(record)
            return
        if record.code in PURGE_CODES:
            self.purges.take(record, known)
            return
        audited = told(known, record)
        if audited is not None:
            self.purges.began(record.subject, record.at)
            self.recordings[record.subject] = audited


class _Walked:
    """One pass over the stored trail that is taken up again behind a break."""

    def __init__(self) -> None:
        self.count = 0
        self.not_intact: int | None = None
        self.head_before = GENESIS
        self._head = GENESIS

    def records(self, rows: Iterator[Stored], comparison: Comparison, facts: _Facts) -> Iterator[AuditRecord]:
        for stored in rows:
            self.take(stored, comparison, facts)
            yield stored.record
            if not stored.is_intact:
                return

    def take(self, stored: Stored, comparison: Comparison, facts: _Facts) -> None:
        self.count += 1
        self.head_before, self._head = self._head, stored.record.hash
        if not stored.is_intact and self.not_intact is None:
            self.not_intact = stored.record.seq
        facts.take(stored.record)
        comparison.see(stored.record)


def _first_break(result: Verified | Break, not_intact: int | None) -> Break | None:
    # A stand-in for a row that is not intact could be made to fit the chain; it is a break all the same.
    found = result if isinstance(result, Break) else None
    if not_intact is not None and (found is None or not_intact <= found.seq):
        return Break(not_intact, "altered")
    return found


def _good(result: Verified | Break, found: Break | None, walked: _Walked) -> tuple[int, bytes]:
    if found is None and isinstance(result, Verified):
        return result.last_seq, result.head
    return (found.seq if found is not None else 1) - 1, walked.head_before


def _against_witness(witnessed: Witnessed | None, comparison: Comparison) -> Iterator[Bad]:
    if witnessed is None:
        return
    if witnessed.first_bad is not None:
        yield Bad("witness", "not_authentic", f"line {witnessed.first_bad.number}", witnessed.first_bad.reason)
    difference = comparison.first_difference()
    if difference is None:
        return
    place, at = f"record {difference.seq}", difference.witnessed.at.isoformat()
    match difference.kind:
        case "rewritten":
            message = (
                f"it is not the record that was witnessed at {at}; up to record {difference.agrees_until} the trail is"
                f" the witnessed one, so the first change lies in {difference.agrees_until + 1} to {difference.seq}"
            )
        case "truncated":
            message = f"the trail ends before this record, which was witnessed at {at}"
        case never:
            assert_never(never)
    yield Bad("witness", difference.kind, place, message)


def _only(
    name: str, stream: BinaryIO, recordings: Mapping[str, AuditedRecording], evidence_public: bytes | None
) -> Outcome:
    try:
        recording_id = read_front(stream).opening.header.recording_id
    except DamagedRecordingError:
        # Its header does not say; then its name must, as with every file in the site's folder.
        recording_id = name.removesuffix(SUFFIX)
    stream.seek(0)
    audited = recordings.get(recording_id)
    if audited is None:
        return not_good(recording_id, "not_audited", "the trail knows no such recording")
    return check_stream(audited, stream, evidence_public)


def _notes(scope: Scope, facts: _Facts, records: int, comparison: Comparison) -> Iterator[str]:
    if scope.witnessed is None:
        yield "there is no witness file: a trail that was rewritten as a whole would not show"
    elif records > comparison.agrees_until and comparison.first_difference() is None:
        yield f"no checkpoint vouches yet for what follows record {comparison.agrees_until}"
    if scope.witnessed is not None and scope.witnessed.torn_lines:
        yield f"{scope.witnessed.torn_lines} lines of the witness file were torn by a crash"
    if scope.only is None and scope.recordings_dir.is_dir():
        known = {file_name_of(name) for name in facts.recordings if is_id("rec", name)}
        known |= {f"{name}{TOMBSTONE_SUFFIX}" for name in facts.purges.judged}
        strange = sorted(path.name for path in scope.recordings_dir.iterdir() if path.name not in known)
        for name in strange[:_MOST_STRANGE]:
            yield f"{name} is in the folder of recordings, but not on the trail: its session never became live"
