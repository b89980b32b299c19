"""Typed reading of JSON: right values pass, everything else is named and refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.client import fields
from spa_knock.client.fields import FieldError


def test_right_values_pass() -> None:
    source: dict[str, object] = {
        "text": "x",
        "none": None,
        "number": 5,
        "key": "AAECAwQFBgc=",
        "hex": "00ff",
        "object": {"a": 1},
        "objects": [{}, {}],
        "texts": ["a", "b"],
    }
    assert fields.get_text(source, "text") == "x"
    assert fields.get_optional_text(source, "none") is None
    assert fields.get_optional_text(source, "absent") is None
    assert fields.get_optional_text(source, "text") == "x"
    assert fields.get_int(source, "number", least=5, most=5) == 5
    assert fields.get_bytes(source, "key", length=8) == bytes(range(8))
    assert fields.get_hex(source, "hex", length=2) == b"\0\xff"
    assert fields.get_object(source, "object") == {"a": 1}
    assert len(fields.get_objects(source, "objects")) == 2
    assert fields.get_texts(source, "texts") == ["a", "b"]


@pytest.mark.parametrize(
    ("getter", "value", "options"),
    [
        (fields.get_text, "", {}),
        (fields.get_text, 7, {}),
        (fields.get_text, "xxx", {"most": 2}),
        (fields.get_optional_text, 7, {}),
        (fields.get_int, True, {}),
        (fields.get_int, "7", {}),
        (fields.get_int, -1, {}),
        (fields.get_int, 8, {"most": 7}),
        (fields.get_bytes, "AA==", {"length": 2}),
        (fields.get_bytes, "A A==", {"length": 1}),
        (fields.get_hex, "zz", {"length": 1}),
        (fields.get_hex, "0 0 ", {"length": 1}),
        (fields.get_object, [], {}),
        (fields.get_objects, {}, {}),
        (fields.get_objects, [{}, {}], {"most": 1}),
        (fields.get_objects, [1], {}),
        (fields.get_texts, ["a", 1], {}),
        (fields.get_day_keys, [], {}),
    ],
)
def test_wrong_values_are_refused_by_their_name(getter: Any, value: object, options: dict[str, int]) -> None:
    with pytest.raises(FieldError, match="wanted"):
        getter({"wanted": value}, "wanted", **options)


def test_a_document_must_be_an_object() -> None:
    values: list[object] = [[], None, {1: 2}]
    for value in values:
        with pytest.raises(FieldError):
            fields.as_object(value)


@given(st.dictionaries(st.integers(0, 2**32 - 1), st.binary(min_size=32, max_size=32), min_size=1, max_size=5))
def test_day_keys_come_back_as_they_went(day_keys: dict[int, bytes]) -> None:
    assert fields.get_day_keys({"day_keys": fields.put_day_keys(day_keys)}) == day_keys
