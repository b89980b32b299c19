"""Following a request: until it is decided, over a lost line for a while, and not over a refusal."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from spa_knock.client import talk
from spa_knock.client.errors import ClientError
from spa_knock.client.home import Home
from spa_knock.client.waiting import until_decided

LOST = ClientError("no_answer", "No answer", "the line is gone")
Site = Callable[..., None]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site's answers, one a question."""

    def give(*found: str | ClientError) -> None:
        left: Iterator[str | ClientError] = iter(found)

        def call_site(_home: Home, _method: str, path: str) -> Mapping[str, object]:
            assert path == "/access-requests/req_1"
            answer = next(left)
            if isinstance(answer, ClientError):
                raise answer
            return {"id": "req_1", "state": answer}

        monkeypatch.setattr(talk, "call_site", call_site)

    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return give


def test_a_request_is_followed_to_its_decision_and_each_state_told_once(
    home: Home, answers: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    answers("submitted", "submitted", "approved")
    assert until_decided(home, "req_1", quiet=False)["state"] == "approved"
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[-1] for line in said] == ["submitted", "approved"]


def test_a_lost_line_is_put_up_with_for_a_while(home: Home, answers: Site) -> None:
    answers(*[LOST] * 20, "submitted", *[LOST] * 20, "denied")
    assert until_decided(home, "req_1", quiet=True)["state"] == "denied"
    answers(*[LOST] * 21)
    with pytest.raises(ClientError, match="the line is gone"):
        until_decided(home, "req_1", quiet=True)


def test_a_refusal_ends_the_waiting(home: Home, answers: Site) -> None:
    answers("submitted", ClientError("denied", "Not allowed", "not yours"), "approved")
    with pytest.raises(ClientError, match="not yours"):
        until_decided(home, "req_1", quiet=True)
