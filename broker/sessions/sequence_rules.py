"""Whether the next entry of a gateway's signed sequence is taken, and what is missing before it. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from recorder.sequence import ORIGIN, Boot, Entry


class Refused(StrEnum):
    """Why an entry is not taken."""

    FORGED = "forged"
    OTHER_WORKER = "other_worker"
    OTHER_KEY = "other_key"
    FORKED = "forked"
    NOT_CHAINED = "not_chained"
    BOOT_IS_OVER = "boot_is_over"
    UNSIGNED = "unsigned"
    ADOPTED_LATE = "adopted_late"


@dataclass(frozen=True)
class Stream:
    """How far one start of a worker was taken: its key, its newest entry, and the how-manieth signed start it is."""

    boot_id: str
    public: bytes
    last_seq: int
    link: bytes
    number: int


@dataclass(frozen=True)
class Told:
    """The newest entry that a worker itself said it had kept."""

    boot_id: str
    seq: int


@dataclass(frozen=True)
class Gap:
    """Numbers of one start are missing: `got` came where `expected` was due."""

    expected: int
    got: int


@dataclass(frozen=True)
class Cut:
    """A new start does not go on where this site knows that the one before it was: entries at its end were lost or left
    out, or the site's own database is an older one. `known` is None when the site knows of no start."""

    known: Told | None


@dataclass(frozen=True)
class Taken:
    """The entry is new. `gap` and `cut` are alarms beside it."""

    stream: Stream
    gap: Gap | None = None
    cut: Cut | None = None


@dataclass(frozen=True)
class Repeated:
    """The entry was taken before, and its answer got lost."""


def judge(
    boot: Boot, entry: Entry, known: Stream | None, latest: Stream | None, told: Told | None
) -> Taken | Repeated | Refused:
    """Judge an entry whose signatures hold.

    `known` is what was taken of its start, `latest` the worker's newest signed start, `told` what the worker said of
    that one.
    """
    if known is None:
        return _of_new_boot(boot, entry, latest, told)
    if known.public != boot.public:
        return Refused.OTHER_KEY
    if entry.seq <= known.last_seq:
        return Refused.FORKED if entry.seq == known.last_seq and entry.link != known.link else Repeated()
    if latest is None or latest.boot_id != known.boot_id:
        return Refused.BOOT_IS_OVER
    due = known.last_seq + 1
    if entry.seq == due and entry.previous != known.link:
        return Refused.NOT_CHAINED
    taken = Stream(known.boot_id, known.public, entry.seq, entry.link, known.number)
    return Taken(taken, gap=Gap(due, entry.seq) if entry.seq > due else None)


def may_adopt(known: Stream | None) -> bool:
    """Whether a worker may hand over messages of a release that did not sign: only in its first signed start."""
    return known is not None and known.number == 1


def _of_new_boot(boot: Boot, entry: Entry, latest: Stream | None, told: Told | None) -> Taken:
    number = latest.number + 1 if latest is not None else 1
    stream = Stream(boot.boot_id, boot.public, entry.seq, entry.link, number)
    if entry.seq > 1:
        return Taken(stream, gap=Gap(1, entry.seq))
    if latest is not None and told is not None and told.seq > latest.last_seq:
        return Taken(stream, cut=Cut(told))
    if entry.previous != (latest.link if latest is not None else ORIGIN):
        return Taken(stream, cut=Cut(Told(latest.boot_id, latest.last_seq) if latest is not None else None))
    return Taken(stream)
