"""The gate: nothing that ends a command passes before its verdict, and what passes is what was typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gateway.input_gate import (
    MAX_LINE_BYTES,
    MOST_CANCELS,
    Blocked,
    Entered,
    Forward,
    GateMode,
    Held,
    InputGate,
    Step,
    Wait,
)
from broker.policy.command_rules import CommandAction, CommandRule, CommandRules

RULES = CommandRules(
    "1",
    (
        CommandRule("no.rm", CommandAction.BLOCK, ("rm",), ("r",), ("/srv/data",)),
        CommandRule("ask", CommandAction.HOLD, ("reboot",)),
    ),
)
DANGER = b"rm -rf /srv/data"


def gate(mode: GateMode = GateMode.TERMINAL) -> InputGate:
    one = InputGate(mode, RULES)
    one.target(b"plc# ")
    return one


def sent(steps: list[Step]) -> bytes:
    return b"".join(step.data for step in steps if isinstance(step, Forward))


def blocked(steps: list[Step]) -> list[Blocked]:
    return [step for step in steps if isinstance(step, Blocked)]


def typed(one: InputGate, keys: bytes, echo: bytes | None = None) -> list[Step]:
    """Types, echoes, and lets the waits pass."""
    steps = one.client(keys)
    steps += one.target(echo if echo is not None else keys.rstrip(b"\r\n\x0f"))
    if blocked(steps):
        one.target(b"^C\r\nplc# ")
    return steps + [more for step in list(steps) if isinstance(step, Wait) for more in one.timer(step.token)]


@pytest.mark.parametrize("enter", [b"\r", b"\n", b"\x0f"])
def test_every_enter_key_waits_for_the_verdict(enter: bytes) -> None:
    one = gate()
    steps = typed(one, DANGER + enter)
    assert sent(steps) == DANGER + b"\x03"
    assert [step.rule_id for step in blocked(steps)] == ["no.rm"]


def test_a_shell_that_takes_no_notice_is_interrupted_again_a_few_times() -> None:
    one = gate()
    one.client(DANGER + b"\r")
    steps = one.target(DANGER)
    cancels = 0
    while waits := [step for step in steps if isinstance(step, Wait)]:
        cancels += sent(steps).count(b"\x03")
        steps = one.timer(waits[-1].token)
    assert cancels == MOST_CANCELS


def test_a_shell_that_went_on_is_not_interrupted_again() -> None:
    one = gate()
    one.client(DANGER + b"\r")
    (wait,) = [step for step in one.target(DANGER) if isinstance(step, Wait)]
    one.target(b"^C\r\nplc# ")
    assert one.timer(wait.token) == []


def test_what_is_typed_after_a_block_waits_for_the_shell_and_is_not_interrupted() -> None:
    one = gate()
    one.client(DANGER + b"\r")
    (wait,) = [step for step in one.target(DANGER) if isinstance(step, Wait)]
    assert sent(one.client(b"da")) == b""
    assert sent(one.target(b"^C")) == b""
    assert sent(one.client(b"te")) == b""
    assert sent(one.target(b"\r\nplc# ")) == b"date"
    assert one.timer(wait.token) == []


def shell_deaf_to_interrupts() -> InputGate:
    """Blocked, interrupted as often as it may be, and the dangerous text still stands on the line."""
    one = gate()
    one.client(DANGER + b"\r")
    steps = one.target(DANGER)
    while waits := [step for step in steps if isinstance(step, Wait)]:
        steps = one.timer(waits[-1].token)
    return one


def test_what_an_unheard_interrupt_left_on_the_line_is_judged_with_what_follows() -> None:
    steps = typed(shell_deaf_to_interrupts(), b"; true\r")
    assert sent(steps) == b"; true\x03"
    assert len(blocked(steps)) == 1


def test_a_line_that_reads_harmlessly_with_what_was_left_passes() -> None:
    one = shell_deaf_to_interrupts()
    assert sent(typed(one, b"x\r")) == b"x\r"
    one.target(b"\r\nplc# ")
    assert sent(typed(one, b"; true\r")) == b"; true\r"


@pytest.mark.parametrize("between", [b"\x03", b"\x03\x03", b"\x1a"])
def test_an_engineers_own_interrupt_hides_nothing_that_the_shell_may_have_kept(between: bytes) -> None:
    one = gate()
    typed(one, DANGER)
    typed(one, between, b"^C")
    steps = typed(one, b"; true\r")
    assert len(blocked(steps)) == 1
    assert sent(steps) == b"; true\x03"


def test_after_a_block_that_the_shell_heard_a_line_is_judged_by_itself() -> None:
    one = gate()
    typed(one, b"rm -rf /srv/data/*\r")
    steps = typed(one, b"echo 'rm -rf /srv/data' still here\r")
    assert not blocked(steps)
    assert sent(steps).endswith(b"here\r")


def test_after_an_interrupt_that_was_heard_work_goes_on() -> None:
    one = gate()
    typed(one, b"ls /tmp")
    typed(one, b"\x03", b"^C\r\nplc# ")
    steps = typed(one, b"date\r")
    assert sent(steps) == b"date\r"
    assert Entered("date") in steps


def test_a_harmless_line_passes_with_its_enter_and_is_told() -> None:
    steps = typed(gate(), b"date\r")
    assert sent(steps) == b"date\r"
    assert Entered("date") in steps


def test_enter_does_not_outrun_the_echo() -> None:
    one = gate()
    steps = one.client(b"date\r")
    assert sent(steps) == b"date"
    assert any(isinstance(step, Wait) for step in steps)
    assert sent(one.target(b"date")) == b"\r"


def test_one_enter_is_one_decision_and_a_block_drops_what_was_typed_behind_it() -> None:
    one = gate()
    steps = typed(one, DANGER + b"\rdate\r", DANGER)
    assert sent(steps) == DANGER + b"\x03"
    assert blocked(steps)[0].dropped_bytes == 5
    assert sent(typed(one, b"id\r")) == b"id\r"


def test_what_follows_an_allowed_enter_goes_on() -> None:
    one = gate()
    steps = one.client(b"date\rid\r") + one.target(b"date")
    assert sent(steps) == b"date\rid"
    assert sent(one.target(b"\r\nFri\r\nplc# id")) == b"\r"


def test_history_is_judged_by_the_screen_and_waits_for_it() -> None:
    one = gate()
    steps = one.client(b"\x1b[A\r")
    assert sent(steps) == b"\x1b[A"
    quiet, limit = (step for step in steps if isinstance(step, Wait))
    assert one.timer(quiet.token) == []  # nothing came back yet: the line is not known
    steps = one.target(DANGER)
    (again,) = steps
    assert isinstance(again, Wait)
    assert blocked(one.timer(again.token))
    assert one.timer(limit.token) == []


def test_a_screen_that_stays_dark_is_decided_at_the_limit() -> None:
    one = gate()
    _, limit = (step for step in one.client(b"\x1b[A\r") if isinstance(step, Wait))
    assert sent(one.timer(limit.token)) == b"\r"


def test_typed_text_is_judged_though_the_echo_is_off_or_lies() -> None:
    assert blocked(typed(gate(), DANGER + b"\r", b""))
    assert blocked(typed(gate(), DANGER + b"\r", b"date"))


def test_a_screen_that_shows_danger_blocks_though_something_else_was_typed() -> None:
    assert blocked(typed(gate(), b"dat\te\r", DANGER))


def test_a_password_is_let_through_and_not_told() -> None:
    one = gate()
    one.target(b"\r\nPassword: ")
    steps = typed(one, b"hunter2\r", b"")
    assert sent(steps) == b"hunter2\r"
    assert not any(isinstance(step, Entered) for step in steps)


def test_a_reverse_search_is_judged() -> None:
    one = gate()
    assert blocked(typed(one, b"\x12rm\r", b"\r(reverse-i-search)`rm': rm -rf /srv/data"))


def test_a_suggestion_behind_the_cursor_is_not_the_command() -> None:
    steps = typed(gate(), b"rm\r", b"rm\x1b[90m -rf /srv/data\x1b[14D")
    assert sent(steps) == b"rm\r"


def test_a_command_over_several_lines_is_judged_as_a_whole() -> None:
    one = gate()
    assert sent(typed(one, b"rm -rf \\\r")) == b"rm -rf \\\r"
    one.target(b"\r\n> ")
    assert blocked(typed(one, b"/srv/data\r"))
    assert sent(typed(one, b"/srv/data\r")) == b"/srv/data\r"  # alone it is harmless


def test_an_abandoned_beginning_is_forgotten() -> None:
    one = gate()
    typed(one, b"rm -rf \\\r")
    one.client(b"\x03")
    one.target(b"^C\r\nplc# ")
    assert sent(typed(one, b"/srv/data\r")) == b"/srv/data\r"


def test_a_beginning_too_long_to_remember_makes_the_gate_strict() -> None:
    one = gate()
    typed(one, b"echo '" + b"x" * 5_000 + b"\r")
    assert blocked(typed(one, b"' ; rm -rf 'x\r"))


def test_the_working_folder_is_followed_along_plain_lines() -> None:
    one = gate()
    typed(one, b"cd /srv\r")
    one.target(b"\r\nplc# ")
    assert blocked(typed(one, b"rm -rf data\r"))


def test_ctrl_d_on_a_line_with_text_is_a_decision_and_alone_it_is_not() -> None:
    one = gate()
    assert blocked(typed(one, DANGER + b"\x04", DANGER))
    assert sent(one.client(b"\x04")) == b"\x04"


def test_a_line_fetched_by_ctrl_o_is_judged_by_the_screen() -> None:
    one = gate()
    typed(one, b"date\x0f", b"date")
    one.target(b"\r\nplc# " + DANGER)
    steps = one.client(b"\r")
    steps += [more for step in list(steps) if isinstance(step, Wait) for more in one.timer(step.token)]
    assert blocked(steps)


def test_a_line_that_was_put_there_without_typing_is_judged() -> None:
    one = gate()
    one.target(DANGER)
    assert blocked(one.client(b"\r"))


def test_a_held_command_goes_only_as_it_was_approved() -> None:
    one = gate()
    steps = typed(one, b"reboot\r")
    assert Held("ask", "reboot") in steps
    assert one.client(b"x") == []
    assert sent(one.decide(allowed=True)) == b"\rx"
    one = gate()
    typed(one, b"reboot\r")
    one.target(b" -f")
    steps = one.decide(allowed=True)
    assert sent(steps) == b"\x03"
    assert blocked(steps)[0].message == "the line changed while it was waiting"
    one = gate()
    typed(one, b"reboot\r")
    assert blocked(one.decide(allowed=False))[0].message == "the command was not approved"


def test_a_shell_without_a_terminal_gets_whole_judged_lines() -> None:
    one = gate(GateMode.LINES)
    assert one.client(b"da") == []
    assert sent(one.client(b"te\nid\nwho")) == b"date\nid\n"
    steps = one.client_end()
    assert sent(steps) == b"who"
    assert one.drained
    one = gate(GateMode.LINES)
    steps = one.client(b"date\n" + DANGER + b"\nid\n")
    assert sent(steps) == b"date\n"
    assert blocked(steps)


def test_the_last_line_without_an_end_is_judged_too() -> None:
    one = gate(GateMode.LINES)
    one.client(DANGER + b" \\")
    assert blocked(one.client_end())


def test_the_input_of_a_program_is_data() -> None:
    assert gate(GateMode.OPEN).client(DANGER + b"\r") == [Forward(DANGER + b"\r")]


@pytest.mark.parametrize("key", [b"\x16\r", b"\x1b\r", b"\x18\r"], ids=["quoted", "escaped", "unbound"])
def test_an_enter_that_the_shell_did_not_take_hides_no_beginning_of_a_line(key: bytes) -> None:
    one = gate()
    typed(one, b"rm -rf /srv/da" + key, b"rm -rf /srv/da")
    assert blocked(typed(one, b"ta\r", b"ta"))


def test_what_stood_on_the_line_before_the_first_key_is_judged_with_it() -> None:
    one = gate()
    one.target(b"rm -rf /srv/da")  # as `histverify`, or `print -z` of zsh, leaves it
    assert blocked(typed(one, b"ta\r"))


@pytest.mark.parametrize("prompt", [b"\r\nPS1 is empty: ", b"\r\n", b"\r\n[me@plc: /srv/data] > "])
def test_a_prompt_is_no_part_of_a_plain_line(prompt: bytes) -> None:
    one = gate()
    one.target(prompt)
    assert sent(typed(one, b"git commit -m 'docs: rm -rf /srv/data'\r")).endswith(b"\r")


def test_keys_that_a_paste_makes_literal_remove_nothing() -> None:
    keys = b"\x1b[200~rm -rf /srv/data \x15ls\x1b[201~"
    assert blocked(typed(gate(), keys + b"\r", b"rm -rf /srv/data ^Uls"))


def pasted_lines() -> InputGate:
    """A shell with bracketed paste holds two lines, of which neither was run."""
    one = gate()
    typed(one, b"\x1b[200~rm -rf /srv/da\rX\x1b[201~", b"rm -rf /srv/da\r\nX")
    return one


def test_pasted_lines_that_are_edited_are_judged_as_text_that_cannot_be_read() -> None:
    one = pasted_lines()
    typed(one, b"\x7f\x7f", b"\b\x1b[K\x1b[A\x1b[19C")
    steps = typed(one, b"ta\r", b"ta")
    assert [step.rule_id for step in blocked(steps)] == ["command.unreadable"]


def test_pasted_lines_that_are_only_entered_pass() -> None:
    one = pasted_lines()
    assert sent(typed(one, b"Y\r", b"Y")) == b"Y\r"
    one.target(b"\r\nplc# ")
    assert sent(typed(one, b"data\x7fe\r", b"dat\be")) == b"data\x7fe\r"


def test_pasted_lines_that_were_interrupted_are_gone_once_the_shell_heard_it() -> None:
    one = pasted_lines()
    typed(one, b"\x03", b"^C\r\nplc# ")
    assert sent(typed(one, b"lss\x7f\r", b"lss\b\x1b[K")) == b"lss\x7f\r"


def test_a_line_that_only_seems_to_continue_another_is_judged_by_itself_too() -> None:
    one = gate()
    for line in (b"(( 1 << 2 ))\r", b"rm -rf \\\r"):
        assert sent(typed(one, line)) == line
        one.target(b"\r\nplc# ")
    assert blocked(typed(one, b"/srv/data\r"))


def test_many_beginnings_at_once_make_the_gate_strict() -> None:
    one = gate()
    for _ in range(30):
        typed(one, b"cat <<x".ljust(99) + b"\\\r")
        one.target(b"\r\n> ")
    assert [step.rule_id for step in blocked(typed(one, b"echo rm\r"))] == ["command.unreadable"]


def test_a_line_without_an_end_is_not_cut_in_two() -> None:
    one = gate(GateMode.LINES)
    steps = one.client(b"echo ".ljust(MAX_LINE_BYTES - 16) + b"; rm -rf /srv/da")
    assert not sent(steps)
    assert [step.rule_id for step in blocked(steps)] == ["command.unreadable"]


@given(st.lists(st.binary(max_size=30), max_size=10), st.sampled_from(list(GateMode)))
def test_what_passes_is_a_part_of_what_was_typed_in_order(chunks: list[bytes], mode: GateMode) -> None:
    one = gate(mode)
    passed = b""
    for chunk in chunks:
        passed += sent(typed(one, chunk))
    whole = b"".join(chunks)
    assert len(passed) <= len(whole)
    if not blocked([]):
        assert whole.startswith(passed) or b"\x03" in passed


@given(st.binary(max_size=40).filter(lambda keys: b"\r" not in keys and b"\n" not in keys))
def test_no_keys_before_plain_danger_let_it_through(keys: bytes) -> None:
    one = gate()
    typed(one, keys + b"\r", b"")
    one.target(b"\r\nplc# ")
    steps = typed(one, b"\x03" + DANGER + b"\r", b"^C\r\nplc# " + DANGER)
    assert not sent(steps).endswith(b"\r")
