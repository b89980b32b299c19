from dataclasses import FrozenInstanceError

import pytest

from broker.gateway.spec import OptionSpec, ProtocolSpec


def test_a_description_is_a_value_that_needs_no_options() -> None:
    spec = ProtocolSpec("ssh", "SSH", 2, 22, ("shell",), "broker.protocols.ssh.listener:SshListener")
    assert spec.options == ()
    assert spec == ProtocolSpec("ssh", "SSH", 2, 22, ("shell",), "broker.protocols.ssh.listener:SshListener")
    with pytest.raises(FrozenInstanceError):
        spec.door = 3  # type: ignore[misc]


def test_an_option_has_all_that_a_form_needs() -> None:
    option = OptionSpec("banner", "text", "", "Shown at sign-in.")
    assert (option.name, option.kind, option.default, option.help) == ("banner", "text", "", "Shown at sign-in.")
