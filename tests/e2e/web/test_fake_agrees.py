"""The stand-in answers what the plant API answers: every route and every field, by `web/openapi.json`."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.web.conftest import ROOT
from tests.e2e.web.fake_api import create_app

Document = dict[str, Any]


def _real() -> Document:
    document: Document = json.loads((ROOT / "web" / "openapi.json").read_text(encoding="utf-8"))
    return document


def _fake() -> Document:
    return create_app(None).openapi()


def _resolved(document: Document, schema: Document) -> Document:
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
            continue
        choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"]
        if len(choices) != 1:
            return schema
        schema = choices[0]


def _fields(document: Document, schema: Document, at: str = "") -> Iterator[str]:
    schema = _resolved(document, schema)
    if schema.get("type") == "array":
        for one in [schema.get("items", {}), *schema.get("prefixItems", [])]:
            yield from _fields(document, one, f"{at}[]")
    for name, inner in schema.get("properties", {}).items():
        yield f"{at}.{name}"
        yield from _fields(document, inner, f"{at}.{name}")


def _json_of(part: Document) -> Document:
    found: Document = part.get("content", {}).get("application/json", {}).get("schema", {})
    return found


ROUTES = [
    (path, method)
    for path, methods in _fake()["paths"].items()
    for method in methods
    if method in {"get", "post", "put", "delete"}
]


@pytest.mark.parametrize(("path", "method"), ROUTES, ids=[f"{method} {path}" for path, method in ROUTES])
def test_a_route_of_the_stand_in_has_the_fields_of_the_real_one(path: str, method: str) -> None:
    fake, real = _fake(), _real()
    assert method in real["paths"].get(path, {}), "the plant API has no such route"
    ours, theirs = fake["paths"][path][method], real["paths"][path][method]
    good = next(code for code in theirs["responses"] if code.startswith("2"))
    assert good in ours["responses"]
    assert set(_fields(fake, _json_of(ours["responses"][good]))) == set(
        _fields(real, _json_of(theirs["responses"][good]))
    )
    assert set(_fields(fake, _json_of(ours.get("requestBody", {})))) == set(
        _fields(real, _json_of(theirs.get("requestBody", {})))
    )
