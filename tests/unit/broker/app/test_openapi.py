import json

import pytest

from broker.app import openapi


def test_the_document_describes_the_plant_face(capsys: pytest.CaptureFixture[str]) -> None:
    openapi.main()
    document = json.loads(capsys.readouterr().out)
    assert "/api/v1/access-requests/{request_id}/approve" in document["paths"]


def test_the_document_is_the_same_every_time() -> None:
    assert openapi.document() == openapi.document()
