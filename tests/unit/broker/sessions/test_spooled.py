"""What a signed entry tells, read strictly."""

import json

import pytest

from broker.gateway.testing import a_boot_key
from broker.sessions.messages import BadMessage
from broker.sessions.model import Ended, Report
from broker.sessions.spooled import Adopted, Started, signed
from recorder.sequence import ORIGIN

KEY = a_boot_key("w1", "b1")
REPORT = {"type": "report", "session_id": None, "events": [{"code": "gateway.test", "at_ms": 1, "params": {}}]}
END = {"type": "ended", "session_id": "ses_1", "reason": "cut", "ended_at_ms": 1, "recording": None}


def message(payload: object, seq: int = 4) -> dict[str, object]:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return {"boot": KEY.boot.to_json(), "entry": KEY.entry(seq, ORIGIN, text).to_json()}


def test_ends_and_reports_are_read_with_the_entrys_own_number() -> None:
    told = signed(message({**REPORT, "boot_id": "forged", "seq": 99})).told
    assert isinstance(told, Report)
    assert (told.boot_id, told.seq, told.events[0].code) == ("b1", 4, "gateway.test")
    assert isinstance(signed(message(END)).told, Ended)
    assert signed(message({"type": "started", "previous": None})).told == Started()


def test_what_was_taken_over_keeps_its_old_number() -> None:
    told = signed(message({"type": "adopted", "boot_id": "old", "seq": 9, "message": REPORT})).told
    assert isinstance(told, Adopted)
    assert (told.boot_id, told.seq) == ("old", 9)
    assert isinstance(told.told, Report)


@pytest.mark.parametrize(
    "payload",
    [
        "no json",
        "[]",
        "[" * 30_000,
        {"type": "bark"},
        {"type": "adopted", "boot_id": "old", "seq": 9, "message": {"type": "started"}},
        {"type": "adopted", "boot_id": "old", "seq": 9, "message": {"type": "adopted"}},
        {"type": "adopted", "boot_id": "old", "seq": 0, "message": REPORT},
        {"type": "adopted", "seq": 9, "message": REPORT},
        {**END, "ended_at_ms": -1},
        {**REPORT, "events": "x"},
    ],
    ids=str,
)
def test_what_is_no_message_is_refused(payload: object) -> None:
    with pytest.raises(BadMessage):
        signed(message(payload))


@pytest.mark.parametrize("broken", [{}, {"boot": {}, "entry": {}}, {"boot": KEY.boot.to_json(), "entry": None}])
def test_what_is_no_entry_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(BadMessage):
        signed(broken)
