import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import pytest

from recorder.errors import StoreError
from recorder.stores.port import WINDOW_BYTES, Stored, opened


@dataclass
class Counting:
    """A store of one recording that keeps what was asked of it."""

    data: bytes
    asked: list[tuple[int, int]] = field(default_factory=list)
    fails: bool = False

    def put(self, recording_id: str, source: BinaryIO) -> Stored:
        raise NotImplementedError

    def find(self, recording_id: str) -> Stored:
        return Stored(recording_id, len(self.data))

    def read(self, stored: Stored, start: int, count: int) -> bytes:
        if self.fails:
            raise StoreError("unreachable", "the store does not answer")
        self.asked.append((start, count))
        return self.data[start : start + count]

    def stored(self) -> Iterator[Stored]:
        raise NotImplementedError

    def remove(self, stored: Stored) -> None:
        raise NotImplementedError


def test_no_more_than_a_window_is_asked_at_once_and_nothing_twice() -> None:
    store = Counting(bytes(5 * WINDOW_BYTES + 3))
    stream = opened(store, store.find("rec_x"))
    while stream.read(10_000):
        pass
    assert max(count for _, count in store.asked) <= WINDOW_BYTES
    assert sum(count for _, count in store.asked) == len(store.data)
    assert len(opened(store, store.find("rec_x")).read(3 * WINDOW_BYTES)) == 3 * WINDOW_BYTES
    assert max(count for _, count in store.asked) <= WINDOW_BYTES


def test_a_store_that_fails_is_neither_an_end_nor_an_error_of_a_file() -> None:
    store = Counting(bytes(2 * WINDOW_BYTES))
    stream = opened(store, store.find("rec_x"))
    stream.read(10)
    store.fails = True
    stream.seek(WINDOW_BYTES + 1)
    with pytest.raises(StoreError) as refusal:
        stream.read(10)
    assert refusal.value.code == "unreachable"
    assert not isinstance(refusal.value, OSError)


def test_a_place_before_the_start_is_refused() -> None:
    stream = opened(Counting(b"abc"), Stored("rec_x", 3))
    with pytest.raises(ValueError, match="place"):
        stream.seek(-4, io.SEEK_END)


def test_reading_everything_asks_for_whole_windows() -> None:
    store = Counting(b"x" * (2 * WINDOW_BYTES + 5))
    assert len(opened(store, store.find("rec_x")).read()) == len(store.data)
    assert len(store.asked) == 3
