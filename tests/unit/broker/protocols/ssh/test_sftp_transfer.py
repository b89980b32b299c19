"""What one open file tells when it is closed or broken off."""

import hashlib

import pytest

from broker.gateway.file_stream import Direction
from broker.protocols.ssh.sftp_transfer import OpenFile
from broker.protocols.ssh.sftp_wire import OpenFlag

PUT = OpenFlag.WRITE | OpenFlag.CREAT | OpenFlag.TRUNC


def moved(file: OpenFile, *parts: tuple[int, bytes], up: bool = True) -> OpenFile:
    flow = file.up if up else file.down
    for offset, data in parts:
        flow.at(offset)
        flow.content(data)
    return file


def test_an_upload_in_order_is_hashed() -> None:
    (told,) = moved(OpenFile("/x", PUT), (0, b"ab"), (2, b"cd")).transfers(closed=True)
    assert (told.direction, told.moved_bytes, told.complete, told.sequential) == (Direction.UP, 4, True, True)
    assert told.sha256 == hashlib.sha256(b"abcd").hexdigest()


@pytest.mark.parametrize("parts", [((2, b"cd"), (0, b"ab")), ((0, b"ab"), (3, b"d")), ((0, b"ab"), (0, b"ab"))])
def test_an_upload_out_of_order_says_so_and_has_no_hash(parts: tuple[tuple[int, bytes], ...]) -> None:
    (told,) = moved(OpenFile("/x", PUT), *parts).transfers(closed=True)
    assert (told.sha256, told.sequential, told.complete) == (None, False, True)


@pytest.mark.parametrize(
    ("flags", "first", "cut_to", "hashed"),
    [
        (PUT, 0, None, True),
        (OpenFlag.WRITE | OpenFlag.CREAT | OpenFlag.EXCL, 0, None, True),
        (OpenFlag.WRITE | OpenFlag.CREAT, 0, None, False),
        (OpenFlag.WRITE | OpenFlag.CREAT, 0, 2, True),
        (OpenFlag.WRITE | OpenFlag.CREAT, 0, 9, False),
        (OpenFlag.WRITE, 5, None, False),
        (PUT | OpenFlag.APPEND, 0, None, False),
    ],
    ids=["emptied", "new", "over an old file", "cut at the end", "longer", "resumed", "appended"],
)
def test_only_what_is_the_whole_file_has_its_hash(flags: int, first: int, cut_to: int | None, *, hashed: bool) -> None:
    file = moved(OpenFile("/x", flags, cut_to=cut_to), (first, b"ab"))
    (told,) = file.transfers(closed=True)
    assert (told.sha256 is not None) is hashed
    assert told.complete


def test_an_upload_is_complete_only_when_every_write_and_the_close_were_confirmed() -> None:
    file = moved(OpenFile("/x", PUT), (0, b"ab"))
    assert not file.transfers(closed=False)[0].complete
    file.unanswered_writes = 1
    assert not file.transfers(closed=True)[0].complete
    file.unanswered_writes, file.up.failed = 0, True
    (told,) = file.transfers(closed=True)
    assert (told.complete, told.sha256) == (False, None)


@pytest.mark.parametrize(
    ("size", "ends_at", "complete"), [(4, None, True), (None, 4, True), (None, None, False), (5, None, False)]
)
def test_a_download_is_complete_when_its_end_was_seen(size: int | None, ends_at: int | None, *, complete: bool) -> None:
    file = moved(OpenFile("/x", OpenFlag.READ, size=size, ends_at=ends_at), (0, b"ab"), (2, b"cd"), up=False)
    (told,) = file.transfers(closed=True)
    assert (told.direction, told.complete, told.sha256 is not None) == (Direction.DOWN, complete, complete)


def test_an_empty_file_is_moved_too_and_an_idle_handle_is_not() -> None:
    empty = hashlib.sha256(b"").hexdigest()
    assert OpenFile("/x", PUT).transfers(closed=True)[0].sha256 == empty
    assert OpenFile("/x", OpenFlag.READ, ends_at=0).transfers(closed=True)[0].sha256 == empty
    assert OpenFile("/x", OpenFlag.READ).transfers(closed=True) == []
    assert OpenFile("/x", is_folder=True).transfers(closed=True) == []
