"""Guards of how a typed line and a file request are read."""

from tests.guards.guard import Guard

_GATE = "tests/unit/broker/gateway/test_input_gate.py"

GUARDS = (
    Guard(
        promise="a line is judged with what the shell held of it before the first key",
        file="broker/gateway/input_gate.py",
        text="self._conclude([typed, *readings_from_before(line, typed)], sure=True, shown=typed)",
        without="self._conclude([typed], sure=True, shown=line and typed)",
        tests=(
            f"{_GATE}::test_an_enter_that_the_shell_did_not_take_hides_no_beginning_of_a_line",
            f"{_GATE}::test_what_stood_on_the_line_before_the_first_key_is_judged_with_it",
            f"{_GATE}::test_keys_that_a_paste_makes_literal_remove_nothing",
        ),
    ),
    Guard(
        promise="pasted lines that are edited are taken for unreadable",
        file="broker/gateway/input_gate.py",
        text="        if self._pasted and self._typed.edited:\n",
        without="        if self._pasted is None:\n",
        tests=(f"{_GATE}::test_pasted_lines_that_are_edited_are_judged_as_text_that_cannot_be_read",),
    ),
    Guard(
        promise="a line that seems to continue another may begin a command of its own",
        file="broker/gateway/input_gate.py",
        text="if one.incomplete and text in beginnings:",
        without="if one.incomplete and text == texts[0]:",
        tests=(f"{_GATE}::test_a_line_that_only_seems_to_continue_another_is_judged_by_itself_too",),
    ),
    Guard(
        promise="a line for a shell without a terminal is not judged in two pieces",
        file="broker/gateway/input_gate.py",
        text='        if not line.endswith(b"\\n") and not self._ended:',
        without="        if not line:",
        tests=(f"{_GATE}::test_a_line_without_an_end_is_not_cut_in_two",),
    ),
    Guard(
        promise="what a file channel made is known by the target's own name",
        file="broker/protocols/ssh/sftp_judge.py",
        text="            makes.append(real)",
        without="            makes += names",
        tests=(
            "tests/unit/broker/protocols/ssh/test_sftp_judge.py::test_only_the_name_that_the_target_tells_belongs_to_the_channel_as_made",
        ),
    ),
)
