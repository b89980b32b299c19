"""Message framing of every local Unix stream socket.

One message is a 4-byte big-endian length followed by that many bytes of UTF-8 JSON: an object with `"v": 1` and a
string `"type"`. A message is at most 65,536 bytes; whoever sends a longer or malformed one loses the connection.
"""

import json
from collections.abc import Mapping

VERSION = 1
MAX_MESSAGE_BYTES = 65_536
_PREFIX_BYTES = 4


class FramingError(Exception):
    """The peer broke the framing; the connection must be closed, since its position in the stream is lost."""


def encode(message: Mapping[str, object]) -> bytes:
    """One framed message.

    message: JSON-ready fields with a non-empty string `type`; `v` is added when absent.
    Raises FramingError when the fields are not JSON, have another version, or exceed 65,536 bytes once encoded.
    """
    fields = {"v": VERSION, **message}
    _check_fields(fields)
    try:
        payload = json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise FramingError(f"a message of type {fields['type']!r} cannot be written as JSON") from error
    if len(payload) > MAX_MESSAGE_BYTES:
        raise FramingError(
            f"a message of type {fields['type']!r} has {len(payload)} bytes; {MAX_MESSAGE_BYTES} are allowed"
        )
    return len(payload).to_bytes(_PREFIX_BYTES, "big") + payload


class Decoder:
    """Turns a byte stream back into messages; holds at most one unfinished message.

    After a FramingError the decoder refuses all further bytes.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._broken = False

    def feed(self, data: bytes) -> list[dict[str, object]]:
        """The messages completed by `data`, in order; possibly none.

        Raises FramingError at the first malformed message; messages of the same call before it are not returned.
        """
        if self._broken:
            raise FramingError("the stream was already broken")
        self._buffer += data
        messages: list[dict[str, object]] = []
        try:
            while (message := self._take()) is not None:
                messages.append(message)
        except FramingError:
            self._broken = True
            self._buffer.clear()
            raise
        return messages

    @property
    def is_between_messages(self) -> bool:
        """Whether no unfinished message is held, so that an end of stream here is a clean one."""
        return not self._buffer and not self._broken

    def _take(self) -> dict[str, object] | None:
        if len(self._buffer) < _PREFIX_BYTES:
            return None
        length = int.from_bytes(self._buffer[:_PREFIX_BYTES], "big")
        if length > MAX_MESSAGE_BYTES:
            raise FramingError(f"a message announces {length} bytes; {MAX_MESSAGE_BYTES} are allowed")
        end = _PREFIX_BYTES + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[_PREFIX_BYTES:end])
        del self._buffer[:end]
        return _parse(payload)


def _parse(payload: bytes) -> dict[str, object]:
    try:
        fields = json.loads(payload.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FramingError("a message is not well-formed JSON") from error
    if not isinstance(fields, dict):
        raise FramingError("a message is not a JSON object")
    _check_fields(fields)
    return fields


def _check_fields(fields: Mapping[str, object]) -> None:
    version = fields.get("v")
    if type(version) is not int or version != VERSION:
        raise FramingError(f"a message has version {version!r}; {VERSION} is spoken")
    kind = fields.get("type")
    if not isinstance(kind, str) or not kind:
        raise FramingError("a message has no type")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        # Two readers that pick different duplicates would understand different messages.
        raise ValueError("a name appears twice")
    return fields


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
