import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.devices.model import DeviceState
from broker.devices.rules import MOVES, DeviceCommand, is_device_name, moved, same_short_code, short_code
from broker.kernel.errors import Conflict


@pytest.mark.parametrize("state", list(DeviceState))
@pytest.mark.parametrize("command", list(DeviceCommand))
def test_a_device_moves_only_as_the_table_says(state: DeviceState, command: DeviceCommand) -> None:
    if (state, command) in MOVES:
        assert moved(state, command) is MOVES[state, command]
        return
    with pytest.raises(Conflict) as refusal:
        moved(state, command)
    assert refusal.value.code == "devices.wrong_state"
    assert refusal.value.params["state"] == state.value


class LifeOfADevice(RuleBasedStateMachine):
    """However a device is commanded, it is trusted only after somebody trusted it, and retired is the end."""

    def __init__(self) -> None:
        super().__init__()
        self.state = DeviceState.PENDING
        self.was_trusted = False
        self.was_retired = False

    @rule(command=st.sampled_from(DeviceCommand))
    def command(self, command: DeviceCommand) -> None:
        try:
            after = moved(self.state, command)
        except Conflict:
            return
        assert after is not self.state
        self.was_trusted |= command is DeviceCommand.TRUST
        self.was_retired |= after is DeviceState.RETIRED
        self.state = after

    @precondition(lambda self: self.was_retired)
    @invariant()
    def retired_is_the_end(self) -> None:
        assert self.state is DeviceState.RETIRED

    @invariant()
    def active_only_after_trust(self) -> None:
        if self.state in {DeviceState.TRUSTED, DeviceState.SUSPENDED}:
            assert self.was_trusted


TestLifeOfADevice = LifeOfADevice.TestCase


def test_the_short_code_is_the_first_forty_bits_in_crockfords_alphabet() -> None:
    key = b"any key"
    number = int.from_bytes(hashlib.sha256(key).digest()[:5], "big")
    code = short_code(key)
    assert code[4] == "-"
    value = 0
    for character in code.replace("-", ""):
        value = value << 5 | "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    assert value == number


@given(st.binary(max_size=64))
def test_a_short_code_fits_itself_however_it_is_typed(key: bytes) -> None:
    code = short_code(key)
    assert same_short_code(code, code.lower().replace("-", " "))
    assert same_short_code(code, code.replace("0", "o").replace("1", "l"))


def test_another_code_does_not_fit() -> None:
    assert not same_short_code("ABCD-EFGH", "ABCD-EFGJ")
    assert not same_short_code("ABCD-EFGH", "")
    assert not same_short_code("ABCD-EFGH", "-" * 50 + "ABCDEFGH")
    assert not same_short_code("ABCD-EFGH", "ÄBCD-EFGH")


@pytest.mark.parametrize("text", ["", " laptop", "laptop ", "a\nb", "x" * 81, "\x1b[31m"])
def test_what_cannot_name_a_device_is_refused(text: str) -> None:
    assert not is_device_name(text)


def test_a_plain_name_is_taken() -> None:
    assert is_device_name("王伟的笔记本 7")
