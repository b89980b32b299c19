"""Compression of batches, with and without the library."""

import pytest

from recorder import packing
from recorder.errors import DamagedRecordingError, UnpackerMissingError
from recorder.packing import pack, unpack


def test_what_was_packed_unpacks() -> None:
    plain = "温度 21.5 ℃\r\n".encode() * 100
    assert unpack(pack(plain), len(plain)) == plain


@pytest.mark.parametrize("claimed", [0, 99, 101, 1 << 40])
def test_a_size_that_the_content_does_not_have_is_refused(claimed: int) -> None:
    with pytest.raises(DamagedRecordingError, match="another size"):
        unpack(pack(b"a" * 100), claimed)


def test_what_is_no_zstd_is_refused() -> None:
    with pytest.raises(DamagedRecordingError, match="does not unpack"):
        unpack(b"not zstd at all", 100)


def test_without_the_library_content_is_not_read_and_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packed = pack(b"a" * 100)
    monkeypatch.setattr(packing, "zstandard", None)
    for attempt in (lambda: unpack(packed, 100), lambda: pack(b"a")):
        with pytest.raises(UnpackerMissingError, match="install the package zstandard"):
            attempt()
