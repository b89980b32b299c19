"""What a device confirms, and what it never does."""

from dataclasses import replace

import pytest

from recorder.manifest import Counts
from spa_knock.client.fields import FieldError
from spa_knock.client.receipts import MOST_DUE, Watched, is_over, judged, read_due, watch, watched_from_object
from spa_knock.wire.receipt import Receipt
from tests.unit.spa_knock.wire.receipts import COUNTS, a_receipt, running_head, sealed_head

NOW_MS = 1_700_000_070_000
LESS = replace(COUNTS, batches=5, frames=30, offset=6_000, at_us=50_000_000, chain_sha256=b"\x33" * 32)


def running(counts: Counts = LESS, **changes: object) -> Receipt:
    head, signature = running_head(counts)
    return a_receipt(**{"head": head, "head_signature": signature, "end": "running", "ended_ms": 0, **changes})


def ended(counts: Counts = COUNTS, **changes: object) -> Receipt:
    head, signature = sealed_head(counts)
    return a_receipt(**{"head": head, "head_signature": signature, **changes})


def item(receipt: Receipt) -> dict[str, object]:
    left_out = ("heads_seen", "signed_at_ms", "refusal")
    return {name: getattr(receipt, name) for name in Receipt.__dataclass_fields__ if name not in left_out}


def seen(*told: Receipt) -> Watched:
    watched: Watched | None = None
    for one in told:
        watched = watch(watched, one, NOW_MS)
    assert watched is not None
    return watched


def test_what_the_plant_proposes_is_read() -> None:
    (told,) = read_due({"items": [item(ended())]})
    assert told == ended(heads_seen=0, signed_at_ms=0)


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"items": [item(running())] * (MOST_DUE + 1)},
        {"items": [{**item(running()), "session_id": "../../.ssh/config"}]},
        {"items": [{**item(running()), "signing_key": "zz"}]},
        {"items": [{**item(running()), "began_ms": "soon"}]},
        {"items": [{**item(running()), "end": "maybe"}]},
        {"items": [{**item(running()), "head": 7}]},
    ],
)
def test_a_proposal_that_is_none_is_refused(body: object) -> None:
    with pytest.raises(FieldError):
        read_due(body)


def test_a_session_is_over_when_its_recording_is_or_does_not_end_in_time() -> None:
    assert not is_over(running(), NOW_MS)
    assert is_over(ended(), NOW_MS)
    late = running(ended_ms=NOW_MS - 300_001)
    assert is_over(late, NOW_MS)
    assert not is_over(replace(late, ended_ms=NOW_MS - 10), NOW_MS)


def test_heads_are_counted_once_each_and_the_last_is_remembered() -> None:
    watched = seen(running(head="", head_signature=""), running(), running(), running(COUNTS))
    assert (watched.heads_seen, watched.batches, watched.frames, watched.trouble) == (2, 7, 40, "")
    assert watched.chain_sha256 == COUNTS.chain_sha256.hex()
    assert watched_from_object(watched.to_object()) == watched


def test_a_session_that_went_as_it_was_told_is_confirmed() -> None:
    receipt = judged(seen(running()), ended(), "press-01", NOW_MS)
    assert receipt == ended(heads_seen=1, signed_at_ms=NOW_MS)
    assert judged(None, ended(), "press-01", NOW_MS).refusal == ""


OTHER_CHAIN = replace(COUNTS, chain_sha256=b"\x44" * 32)


@pytest.mark.parametrize(
    ("told", "end", "refusal"),
    [
        (running(), ended(header_sha256="12" * 32), "other_recording"),
        (running(), ended(recording_id="rec_2"), "other_recording"),
        (running(), ended(signing_key="12" * 32), "other_recording"),
        (running(COUNTS), ended(LESS), "went_back"),
        (running(COUNTS), ended(OTHER_CHAIN), "went_back"),
        (running(), ended(replace(COUNTS, frames=30)), "went_back"),
        (running(), ended(head="", head_signature="", end="broken"), "went_back"),
        (running(head="", head_signature=""), ended(head="", head_signature="", end="broken"), "no_head"),
        (running(), ended(head_signature="00" * 64), "head_not_signed"),
        (running(head_signature="00" * 64), ended(), "head_not_signed"),
    ],
)
def test_what_contradicts_what_was_told_is_refused_with_its_reason(told: Receipt, end: Receipt, refusal: str) -> None:
    receipt = judged(seen(told), end, "press-01", NOW_MS)
    assert receipt.refusal == refusal
    assert receipt.head == end.head


@pytest.mark.parametrize("asked", [None, "press-02"])
def test_a_session_that_nobody_here_asked_for_is_never_confirmed(asked: str | None) -> None:
    assert judged(None, ended(), asked, NOW_MS).refusal == "other_target"


def test_the_first_trouble_stays_whatever_is_told_afterwards() -> None:
    watched = seen(running(COUNTS), running(OTHER_CHAIN), running(COUNTS))
    assert watched.trouble == "went_back"
    assert judged(watched, ended(), "press-01", NOW_MS).refusal == "went_back"
