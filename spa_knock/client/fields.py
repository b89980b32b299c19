"""Typed reading of untrusted JSON objects: every getter names the field it refuses (pure)."""

import base64
import binascii
from collections.abc import Mapping
from typing import cast

from spa_knock.client.language import tr


class FieldError(ValueError):
    """A field is missing, of the wrong type or out of its range."""


def as_object(value: object, name: str = "document") -> Mapping[str, object]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise FieldError(tr("{name} is not an object", name=name))
    return cast("Mapping[str, object]", value)


def get_object(source: Mapping[str, object], name: str) -> Mapping[str, object]:
    return as_object(source.get(name), name)


def get_objects(source: Mapping[str, object], name: str, *, most: int = 1000) -> list[Mapping[str, object]]:
    """The field as a list of objects, at most `most` of them."""
    value = source.get(name)
    if not isinstance(value, list) or len(value) > most:
        raise FieldError(tr("{name} is not a list of at most {most} entries", name=name, most=most))
    return [as_object(entry, name) for entry in value]


def get_text(source: Mapping[str, object], name: str, *, most: int = 4096) -> str:
    """The field as a text of 1 to `most` characters."""
    value = source.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        raise FieldError(tr("{name} is not a text of 1 to {most} characters", name=name, most=most))
    return value


def get_optional_text(source: Mapping[str, object], name: str, *, most: int = 4096) -> str | None:
    """The field as a text; None when it is absent, null or empty."""
    if source.get(name) in (None, ""):
        return None
    return get_text(source, name, most=most)


def get_int(source: Mapping[str, object], name: str, *, least: int = 0, most: int = 2**63 - 1) -> int:
    value = source.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise FieldError(tr("{name} is not a whole number from {least} to {most}", name=name, least=least, most=most))
    return value


def get_texts(source: Mapping[str, object], name: str, *, most: int = 1000) -> list[str]:
    value = source.get(name)
    if not isinstance(value, list) or len(value) > most or not all(isinstance(entry, str) for entry in value):
        raise FieldError(tr("{name} is not a list of at most {most} texts", name=name, most=most))
    return cast("list[str]", value)


def get_bytes(source: Mapping[str, object], name: str, *, length: int) -> bytes:
    """The field as standard base64 of exactly `length` bytes."""
    text = get_text(source, name)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FieldError(tr("{name} is not base64", name=name)) from None
    if len(data) != length:
        raise FieldError(tr("{name} is not {length} bytes long", name=name, length=length))
    return data


def get_hex(source: Mapping[str, object], name: str, *, length: int) -> bytes:
    """The field as hexadecimal digits of exactly `length` bytes."""
    text = get_text(source, name)
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise FieldError(tr("{name} is not hexadecimal", name=name)) from None
    if len(data) != length or len(text) != 2 * length:
        raise FieldError(tr("{name} is not {length} bytes long", name=name, length=length))
    return data


def get_day_keys(source: Mapping[str, object], name: str = "day_keys") -> dict[int, bytes]:
    """Gate day keys: a list of `{day, key_b64}`, 1 to 64 of them, as day number → 32 bytes."""
    entries = get_objects(source, name, most=64)
    if not entries:
        raise FieldError(tr("{name} is empty", name=name))
    return {get_int(e, "day", most=2**32 - 1): get_bytes(e, "key_b64", length=32) for e in entries}


def put_day_keys(day_keys: Mapping[int, bytes]) -> list[dict[str, object]]:
    return [{"day": day, "key_b64": base64.b64encode(key).decode()} for day, key in sorted(day_keys.items())]
