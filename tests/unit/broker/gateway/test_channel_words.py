"""Every refusal has its words."""

import pytest

from broker.gateway.channel_words import blocked_line, not_permitted
from broker.gateway.channels import ChannelKind


@pytest.mark.parametrize("kind", ChannelKind)
def test_every_kind_of_channel_is_refused_with_a_sentence(kind: ChannelKind) -> None:
    assert not_permitted(kind).endswith(".")


def test_a_blocked_line_names_its_rule_and_what_was_dropped() -> None:
    assert blocked_line("r.1", "no") == "This command is blocked (r.1): no."
    assert blocked_line("r.1", "no", 3).endswith("What was typed after it was dropped.")
