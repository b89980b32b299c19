"""What `sally` shows of answers."""

import pytest

from spa_knock.client.errors import Exit
from spa_knock.client.fields import FieldError
from spa_knock.client.home import Home
from spa_knock.client.summary import (
    exit_of_request,
    request_lines,
    request_table,
    status_data,
    status_lines,
    target_lines,
)

REQUEST: dict[str, object] = {
    "id": "req_1",
    "target": "plc3",
    "state": "submitted",
    "starts_at": "2026-11-20T09:00:00Z",
    "ends_at": "2026-11-20T11:00:00Z",
    "work_order": "WO-7",
    "decision_reason": None,
}


def test_before_the_first_login_the_short_code_is_shown(enrolled: Home) -> None:
    lines = status_lines(status_data(enrolled.enrolment(), {}, ssh_installed=False))
    assert any(line.startswith("short code") and "7K2M-Q9" in line for line in lines)
    assert any("sally login" in line for line in lines)
    assert any("sally ssh-config --install" in line for line in lines)


def test_after_login_person_and_open_targets_are_shown(enrolled: Home) -> None:
    agent: dict[str, object] = {
        "signed_in": True,
        "person": {"id": "psn_1", "username": "li.wei", "display_name": "Li\x1b[2J Wei"},
        "idle_seconds_left": 840,
        "certificates": [{"target": "plc3", "valid_before": "2026-11-20T09:00:00Z"}],
    }
    text = "\n".join(status_lines(status_data(enrolled.enrolment(), agent, ssh_installed=True)))
    assert "li.wei" in text
    assert "14 min" in text
    assert "plc3, certificate until" in text
    assert "\x1b" not in text


def test_why_receipts_wait_is_shown(enrolled: Home) -> None:
    agent: dict[str, object] = {"signed_in": False, "receipts": {"waiting": True, "trouble": "No space left"}}
    lines = status_lines(status_data(enrolled.enrolment(), agent, ssh_installed=True))
    assert "receipts    No space left" in lines


def test_lists_are_tables_or_a_word() -> None:
    assert target_lines({"items": []}) == ["No targets."]
    assert request_table({"items": []}) == ["No requests."]
    item = {"name": "plc3", "protocol": "ssh", "accounts": ["root", "service"], "description": None}
    assert target_lines({"items": [item]})[1].split() == ["plc3", "ssh", "root,", "service"]
    assert "WO-7" in request_table({"items": [REQUEST]})[1]


@pytest.mark.parametrize(
    ("state", "words", "code"),
    [
        ("submitted", "waiting for approval", Exit.FAILED),
        ("approved", "approved, from", Exit.OK),
        ("denied", "no reason was given", Exit.DENIED),
        ("lapsed", "lapsed", Exit.OUTSIDE_WINDOW),
        ("withdrawn", "withdrawn", Exit.FAILED),
    ],
)
def test_a_requests_state_is_told_and_decides_the_exit_code(state: str, words: str, code: Exit) -> None:
    asked = REQUEST | {"state": state}
    assert words in request_lines(asked)[0]
    assert exit_of_request(asked) is code


def test_an_unfit_answer_is_refused() -> None:
    with pytest.raises(FieldError):
        request_lines({"id": "req_1"})
