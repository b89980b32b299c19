"""Every line for the engineer is there, in both languages."""

import pytest

from broker.gateway import channel_words
from broker.gateway.channel_words import (
    access_ended,
    blocked_line,
    both,
    cut_by_the_plant,
    denial_line,
    greeting,
    held_by_the_plant,
    not_permitted,
    not_recorded,
    refused_file,
    told_by_the_plant,
    too_many_channels,
    transfer_ended,
)
from broker.gateway.channels import ChannelKind

LINES = {
    **{name: words for name, words in vars(channel_words).items() if name.isupper() and isinstance(words, str)},
    "access_ended": access_ended("grant_revoked"),
    "access_ended for no reason": access_ended(""),
    "blocked_line": blocked_line("r.1", "no"),
    "blocked_line with more": blocked_line("r.1", "no", 3),
    "cut_by_the_plant": cut_by_the_plant("smoke in hall 3"),
    "denial_line": denial_line("cut", "The plant has ended this access."),
    "denial_line of another code": denial_line("policy.denied", "An access rule of the plant denies this."),
    "greeting": greeting("root", "press-01", 42),
    "held_by_the_plant": held_by_the_plant("come to hall 3"),
    "not_recorded": not_recorded("disk full"),
    "refused_file": refused_file("files.mode", "sftp: open /x", "no"),
    "too_many_channels": too_many_channels(10),
    "told_by_the_plant": told_by_the_plant("stop the pump"),
    "transfer_ended": transfer_ended("too long"),
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_is_one_and_ends_in_chinese(name: str) -> None:
    line = LINES[name]
    assert line.isprintable()
    assert line[0].isascii()
    assert line[-1] in "。）"


@pytest.mark.parametrize("kind", ChannelKind)
def test_every_kind_of_channel_is_refused_with_a_sentence_in_both_languages(kind: ChannelKind) -> None:
    english, _, chinese = not_permitted(kind).rpartition(". ")
    assert english.isascii()
    assert not chinese.isascii()
    assert chinese.endswith("。")


def test_a_blocked_line_names_its_rule_and_what_was_dropped() -> None:
    assert blocked_line("r.1", "no") == "This command is blocked (r.1): no. 此命令已被阻止。"
    assert "What was typed after it was dropped." in blocked_line("r.1", "no", 3)
    assert blocked_line("r.1", "no", 3).endswith("其后输入的内容已丢弃。")


def test_the_sentences_are_told_apart_whatever_the_first_ends_with() -> None:
    assert both("Stop", "停") == both("Stop.", "停") == "Stop. 停"
