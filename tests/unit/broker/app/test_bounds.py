from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from broker.app.bounds import BoundedBody


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.add_middleware(BoundedBody, limit_bytes=10)

    @app.post("/size")
    async def _size(request: Request) -> int:
        return len(await request.body())

    return TestClient(app)


def test_a_body_within_the_bound_arrives(client: TestClient) -> None:
    assert client.post("/size", content=b"x" * 10).json() == 10


def test_an_announced_body_over_the_bound_is_refused(client: TestClient) -> None:
    answer = client.post("/size", content=b"x" * 11)
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"


def test_a_body_that_grows_over_the_bound_is_refused(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * 6
        yield b"x" * 6

    assert client.post("/size", content=chunks()).status_code == 413
