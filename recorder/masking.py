"""Typed input that the screen did not show, sealed so that only two auditors together can read it. Pure.

Each recording has a mask key. It is never stored: two parts are, whose XOR it is, each sealed to one auditor's X25519
key. One part alone says nothing about the key. Format in `docs/recording-format.md` section 4.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.errors import DamagedRecordingError
from recorder.frames import Frame, FrameKind
from recorder.seal import KEY_BYTES, TAG_BYTES, Random, SealedKey, open_data_key, seal_data_key

AUDITORS: Final = 2
_DOMAIN: Final = b"sallyport masked input v1\0"
_NUMBER_BYTES: Final = 8


def part_name(recording_id: str, index: int) -> str:
    """What a sealed part is bound to: its recording and its place."""
    return f"{recording_id}/mask/{index + 1}"


@dataclass(slots=True)
class Mask:
    """One recording's mask while it is written: seals input under numbers that never come twice."""

    recording_id: str
    parts: tuple[SealedKey, SealedKey]
    _aead: AESGCM = field(repr=False)
    _sealed: int = 0

    @classmethod
    def generate(cls, auditors: Sequence[bytes], recording_id: str, random: Random) -> "Mask":
        """A new mask for two auditors' public keys (raw X25519). ValueError: not two, twice the same, unusable."""
        if len(auditors) != AUDITORS or auditors[0] == auditors[1]:
            raise ValueError("typed secrets are sealed to two different auditors' keys")
        key, first = random(KEY_BYTES), random(KEY_BYTES)
        halves = (first, _xor(key, first))
        sealed = [
            seal_data_key(half, public, part_name(recording_id, index), random)
            for index, (half, public) in enumerate(zip(halves, auditors, strict=True))
        ]
        return cls(recording_id, (sealed[0], sealed[1]), AESGCM(key))

    def seal(self, frame: Frame) -> Frame:
        """The frame with its data sealed. Call it once for what is written, and again for what is written again."""
        self._sealed += 1
        number = self._sealed.to_bytes(_NUMBER_BYTES, "big")
        bound = _bound(self.recording_id, frame.channel)
        data = number + self._aead.encrypt(_nonce(number), frame.data, bound)
        return Frame(FrameKind.MASKED_INPUT, frame.channel, frame.at_us, data)


def open_part(sealed: SealedKey, private: bytes, recording_id: str, index: int) -> bytes:
    """One auditor's part of the mask key. Raises `DamagedRecordingError("wrong_key")`."""
    return open_data_key(sealed, private, part_name(recording_id, index))


@dataclass(frozen=True, slots=True)
class Unmask:
    """Both parts together: opens the masked input of one recording."""

    recording_id: str
    _aead: AESGCM = field(repr=False)

    @classmethod
    def of(cls, recording_id: str, first: bytes, second: bytes) -> "Unmask":
        """From the two opened parts, 32 bytes each. Whether they are the right ones shows with the first frame."""
        if len(first) != KEY_BYTES or len(second) != KEY_BYTES:
            raise ValueError(f"a part has {KEY_BYTES} bytes")
        return cls(recording_id, AESGCM(_xor(first, second)))

    def open(self, frame: Frame) -> bytes:
        """What was typed. Raises `DamagedRecordingError`: `wrong_key` for other parts, or another recording's frame."""
        if len(frame.data) < _NUMBER_BYTES + TAG_BYTES:
            raise DamagedRecordingError("bad_frames", "a masked frame is too short", at_us=frame.at_us)
        number, sealed = frame.data[:_NUMBER_BYTES], frame.data[_NUMBER_BYTES:]
        try:
            return self._aead.decrypt(_nonce(number), sealed, _bound(self.recording_id, frame.channel))
        except InvalidTag as error:
            message = "masked input does not open: these are not the two parts of its key"
            raise DamagedRecordingError("wrong_key", message, at_us=frame.at_us) from error


@dataclass(frozen=True, slots=True)
class HiddenInput:
    """What was typed and not shown, up to this moment of the recording."""

    at_us: int
    channel: int
    keys: bytes


def hidden_inputs(frames: Iterable[Frame], unmask: Unmask) -> Iterator[HiddenInput]:
    """Masked input without what the screen showed later, piece by piece. Raises `DamagedRecordingError` as `open`."""
    typed: dict[int, bytearray] = {}
    last_us = 0
    for frame in frames:
        last_us = frame.at_us
        waiting = typed.setdefault(frame.channel, bytearray())
        if frame.kind is FrameKind.MASKED_INPUT:
            waiting += unmask.open(frame)
            continue
        if frame.kind is FrameKind.ECHOED_INPUT:
            if waiting.endswith(frame.data):
                del waiting[len(waiting) - len(frame.data) :]
        elif frame.kind is not FrameKind.NOTE or b'"hidden_input"' not in frame.data:
            continue
        if waiting:
            yield HiddenInput(frame.at_us, frame.channel, bytes(waiting))
            waiting.clear()
    for channel, waiting in typed.items():
        if waiting:
            yield HiddenInput(last_us, channel, bytes(waiting))


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _nonce(number: bytes) -> bytes:
    return bytes(12 - _NUMBER_BYTES) + number


def _bound(recording_id: str, channel: int) -> bytes:
    return _DOMAIN + recording_id.encode() + channel.to_bytes(4, "big")
