"""What people type, secrets from files, and tables."""

import datetime as dt
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.client.answers import SecretInput, printable, read_duration, read_moment, table
from spa_knock.client.errors import ClientError, Exit


@pytest.mark.parametrize(
    ("text", "minutes"), [("90m", 90), ("2h", 120), ("1h30m", 90), ("1d", 1440), (" 1D2H3M ", 1563), ("0h5m", 5)]
)
def test_lengths_are_days_hours_and_minutes(text: str, minutes: int) -> None:
    assert read_duration(text) == dt.timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "0m", "2", "h", "2h2h", "-1h", "1.5h", "٣h", "9999999m"])
def test_other_lengths_are_refused(text: str) -> None:
    with pytest.raises(ClientError) as refused:
        read_duration(text)
    assert refused.value.exit_code is Exit.USAGE


def test_moments_need_their_zone() -> None:
    assert read_moment("2026-11-20T09:00:00+08:00") == dt.datetime(2026, 11, 20, 1, tzinfo=dt.UTC)
    assert read_moment("2026-11-20T09:00:00Z").hour == 9
    for text in ("2026-11-20T09:00:00", "tomorrow", ""):
        with pytest.raises(ClientError):
            read_moment(text)


def test_a_secret_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(" correct horse \r\nmore\n")
    assert SecretInput().read(str(path), "password") == " correct horse "


def test_secrets_from_standard_input_take_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("pass\n123456\n"))
    given_ = SecretInput()
    assert [given_.read("-", "password"), given_.read("-", "code")] == ["pass", "123456"]
    with pytest.raises(ClientError):
        given_.read("-", "third")


@pytest.mark.parametrize("content", [b"", b"\nsecond", b"x" * 2000, b"\xff\xfe"])
def test_an_unusable_secret_file_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    with pytest.raises(ClientError) as refused:
        SecretInput().read(str(path), "password")
    assert "xxx" not in refused.value.one_line()
    with pytest.raises(ClientError):
        SecretInput().read(str(tmp_path / "absent"), "password")


def test_chinese_text_keeps_columns_aligned() -> None:
    lines = table(["NAME", "X"], [["包装", "1"], ["abcd", "2"]])
    assert lines == ["NAME  X", "包装  1", "abcd  2"]


@given(st.text(max_size=50))
def test_shown_text_steers_no_terminal(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)
