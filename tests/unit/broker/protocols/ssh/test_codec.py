"""What SSH clients ask for, read strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gateway.channels import ChannelKind
from broker.protocols.ssh.codec import allowed_environment, exec_kind, plain_line, subsystem_kind


def test_only_language_and_terminal_variables_with_plain_values_pass() -> None:
    asked = {
        b"LANG": b"de_DE.UTF-8",
        b"LC_ALL": b"C",
        b"TERM": b"xterm-256color",
        b"LD_PRELOAD": b"/x.so",
        b"LANGUAGE": b"de",
        b"LC_TIME": b"$(reboot)",
        b"LC_PATH": b"../../x",
        b"\xff": b"x",
    }
    assert dict(allowed_environment(asked)) == {"LANG": "de_DE.UTF-8", "LC_ALL": "C", "TERM": "xterm-256color"}


def test_the_number_of_variables_is_bounded() -> None:
    many = {f"LC_{chr(65 + n // 26)}{chr(65 + n % 26)}".encode(): b"x" for n in range(200)}
    assert len(allowed_environment(many)) == 32


@pytest.mark.parametrize(
    "command",
    ["scp -t /tmp", "scp -r -p -f x", "/usr/bin/scp -pt .", "rsync --server -vlogDtpre.iLsfxC . /x", "sftp-server",
     "/usr/lib/openssh/sftp-server -l INFO", "internal-sftp"],
)  # fmt: skip
def test_the_far_end_of_a_file_transfer_is_told_apart(command: str) -> None:
    assert exec_kind(command) is ChannelKind.FILE_COMMAND


@pytest.mark.parametrize("command", ["ls", "scp a b:", "rsync -a x y", "echo scp -t x", "sftp-serverx", "", "man scp"])
def test_other_commands_are_commands(command: str) -> None:
    assert exec_kind(command) is ChannelKind.EXEC


def test_sftp_is_file_transfer_and_the_rest_unknown() -> None:
    assert subsystem_kind("sftp") is ChannelKind.FILE_TRANSFER
    assert subsystem_kind("netconf") is ChannelKind.SUBSYSTEM


@given(st.text())
def test_a_plain_line_cannot_steer_a_terminal(text: str) -> None:
    assert not any(ord(char) < 32 or ord(char) == 127 for char in plain_line(text))
