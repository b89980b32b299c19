"""What channels are made of: names that records keep, and values that nobody changes."""

from dataclasses import FrozenInstanceError

import pytest

from broker.gateway.channels import ChannelKind, ExitState, Terminal


def test_the_kinds_have_the_names_that_records_keep() -> None:
    assert {kind.value for kind in ChannelKind} == {"shell", "exec", "file_transfer", "file_command", "subsystem"}


def test_a_terminal_compares_by_what_was_asked_for_and_stays_as_it_is() -> None:
    terminal = Terminal("xterm", 80, 24)
    assert terminal == Terminal("xterm", 80, 24, 0, 0, {})
    assert terminal != Terminal("xterm", 80, 24, modes={53: 0})
    with pytest.raises(FrozenInstanceError):
        terminal.width = 81  # type: ignore[misc]


def test_a_program_whose_end_the_target_did_not_tell_has_neither_status_nor_signal() -> None:
    silent = ExitState()
    assert (silent.status, silent.signal) == (None, None)
    assert silent != ExitState(status=0)
