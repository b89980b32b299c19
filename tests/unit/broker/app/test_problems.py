import pytest
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from broker.app import problems
from broker.kernel import errors


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    problems.install(app)

    @app.get("/refuse/{kind}")
    def _refuse(kind: str) -> None:
        raise getattr(errors, kind)("things.thing.refused", "This cannot be done.", {"limit": 3})

    @app.get("/number")
    def _number(value: int) -> int:
        return value

    @app.get("/broken")
    def _broken() -> None:
        raise RuntimeError("the secret is hunter2")

    @app.get("/full")
    def _full() -> None:
        raise OperationalError("INSERT the secret hunter2", {}, Exception("database or disk is full"))

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("Invalid", 422),
        ("Unauthenticated", 401),
        ("Forbidden", 403),
        ("NotFound", 404),
        ("Conflict", 409),
        ("TooMany", 429),
        ("Unavailable", 503),
    ],
)
def test_a_refusal_becomes_a_problem_document(client: TestClient, kind: str, status: int) -> None:
    answer = client.get(f"/refuse/{kind}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "things.thing.refused"
    assert answer.json()["params"] == {"limit": 3}


def test_input_of_the_wrong_form_is_pointed_at(client: TestClient) -> None:
    answer = client.get("/number?value=x")
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid"
    assert answer.json()["errors"][0]["pointer"] == "/query/value"


def test_an_unknown_path_is_a_problem_too(client: TestClient) -> None:
    assert client.get("/nowhere").json()["code"] == "not_found"


def test_a_failure_of_ours_tells_nothing_of_the_inside(client: TestClient) -> None:
    answer = client.get("/broken")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert answer.json()["code"] == "internal"


def test_a_database_that_cannot_is_told_without_its_words(client: TestClient) -> None:
    answer = client.get("/full")
    assert (answer.status_code, answer.json()["code"]) == (503, "database.unavailable")
    assert "hunter2" not in answer.text
