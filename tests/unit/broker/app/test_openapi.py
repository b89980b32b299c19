import json
from pathlib import Path

import pytest

from broker.app import openapi


def test_the_document_describes_the_plant_face(capsys: pytest.CaptureFixture[str]) -> None:
    openapi.main()
    document = json.loads(capsys.readouterr().out)
    assert "/api/v1/access-requests/{request_id}/approve" in document["paths"]


def test_the_document_is_the_same_every_time() -> None:
    assert openapi.document() == openapi.document()


def test_the_document_in_the_repository_is_todays() -> None:
    """When this fails, `./dev openapi` writes it, and the console's types with it."""
    path = Path(__file__).parents[4] / "web" / "openapi.json"
    assert json.loads(path.read_text(encoding="utf-8")) == openapi.document()
