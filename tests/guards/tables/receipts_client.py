"""Guards of two-sided receipts at the vendor: what a device confirms, what it never does, and what exposes a rewriter."""

from tests.guards.guard import Guard

_CLIENT = "tests/unit/spa_knock/client"
_RECEIPTS = f"{_CLIENT}/test_receipts.py"
_CONFIRMING = f"{_CLIENT}/test_confirming.py"
_CONTAINER = f"{_CLIENT}/test_container.py"
_COMMANDS = f"{_CLIENT}/test_receipt_commands.py"
_VERBS = f"{_CLIENT}/test_verbs.py"

GUARDS = (
    Guard(
        promise="a device never confirms a session that nobody at it asked for",
        file="spa_knock/client/receipts.py",
        text="    if asked_target != told.target:\n",
        without="    if not told.target:\n",
        tests=(
            f"{_RECEIPTS}::test_a_session_that_nobody_here_asked_for_is_never_confirmed",
            f"{_CONFIRMING}::test_a_session_that_nobody_here_asked_for_is_refused_and_fills_no_folder",
        ),
    ),
    Guard(
        promise="a device never confirms a recording that tells less, or another history, than it was shown",
        file="spa_knock/client/receipts.py",
        text="    if _contradicts(seen, facts):\n",
        without="    if seen.frames < 0:\n",
        tests=(
            f"{_RECEIPTS}::test_what_contradicts_what_was_told_is_refused_with_its_reason",
            f"{_RECEIPTS}::test_the_first_trouble_stays_whatever_is_told_afterwards",
        ),
    ),
    Guard(
        promise="a device never confirms another recording than the one it was shown",
        file="spa_knock/client/receipts.py",
        text='        return _troubled(seen, "other_recording")\n',
        without="        return seen\n",
        tests=(
            f"{_RECEIPTS}::test_what_contradicts_what_was_told_is_refused_with_its_reason",
            f"{_CONFIRMING}::test_a_rewritten_end_is_refused_and_the_refusal_is_signed_and_kept",
        ),
    ),
    Guard(
        promise="the plant's names never lead out of the folder of receipts",
        file="spa_knock/client/receipts.py",
        text='    if not _FILE_NAME.fullmatch(texts["session_id"]):\n',
        without='    if not texts["session_id"]:\n',
        tests=(f"{_RECEIPTS}::test_a_proposal_that_is_none_is_refused",),
    ),
    Guard(
        promise="a device signs nothing for another site or about another device",
        file="spa_knock/client/confirming.py",
        text="            if (told.site, told.device_id) == (enrolment.site.audience.hex(), enrolment.device_id):\n",
        without="            if enrolment.device_id:\n",
        tests=(f"{_CONFIRMING}::test_nothing_is_signed_for_another_site_or_about_another_device",),
    ),
    Guard(
        promise="what a device signed is kept before it is sent",
        file="spa_knock/client/confirming.py",
        text="            self._folder.keep(signed)\n",
        without="            pass\n",
        tests=(
            f"{_CONFIRMING}::test_a_session_is_watched_while_it_runs_and_confirmed_when_it_is_over",
            f"{_CONFIRMING}::test_a_receipt_that_could_not_be_sent_is_kept_and_sent_again_as_it_is",
        ),
    ),
    Guard(
        promise="a session that the plant tells of never pushes out one that is watched",
        file="spa_knock/client/receipt_folder.py",
        text="        answered = sorted((told.told_at_ms, one) for one, told in others.items() if told.answer)\n",
        without="        answered = sorted((told.told_at_ms, one) for one, told in others.items())\n",
        tests=(f"{_CLIENT}/test_receipt_folder.py::test_sessions_that_are_told_of_never_push_out_one_that_is_watched",),
    ),
    Guard(
        promise="a history that was rewritten with every key of the plant is exposed by the vendor's receipt",
        file="spa_knock/client/container.py",
        text="    if reached != (head.batches, head.frames, head.chain_sha256):\n",
        without="    if reached is None:\n",
        tests=(
            f"{_CONTAINER}::test_a_recording_written_anew_under_the_same_keys_is_found",
            f"{_CONTAINER}::test_another_history_in_front_of_the_confirmed_end_is_found",
        ),
    ),
    Guard(
        promise="a recording without the very head that was confirmed is another one",
        file="spa_knock/client/container.py",
        text="    if stream.read(len(expected)) != expected:\n",
        without="    if len(stream.read(len(expected))) > len(expected):\n",
        tests=(
            f"{_CONTAINER}::test_one_altered_byte_makes_it_another_recording",
            f"{_CONTAINER}::test_a_recording_that_was_cut_short_is_another_one",
        ),
    ),
    Guard(
        promise="a receipt that another key signed does not count as this computer's",
        file="spa_knock/client/receipt_commands.py",
        text="    if signed.device_key not in trusted:\n",
        without="    if signed.device_key in ():\n",
        tests=(f"{_COMMANDS}::test_a_receipt_of_a_key_that_is_not_this_computers_does_not_count",),
    ),
    Guard(
        promise="the client's agent stays until its sessions have their receipts",
        file="spa_knock/client/agent.py",
        text="        if self._verbs.confirming.is_waiting:\n",
        without="        if self._verbs is None:\n",
        tests=(f"{_CLIENT}/test_agent.py::test_an_agent_stays_while_a_session_waits_for_its_receipt",),
    ),
    Guard(
        promise="when an ssh has ended, the agent asks for its receipt at once",
        file="spa_knock/client/verbs.py",
        text="            self.confirming.left()\n",
        without="            pass\n",
        tests=(
            f"{_VERBS}::test_an_end_of_ssh_is_noticed_when_the_agent_looks_around",
            f"{_CLIENT}/test_helper.py::test_when_ssh_has_ended_its_receipt_is_sent_without_waiting_for_the_next_round",
        ),
    ),
    Guard(
        promise="no connection fails because something about its receipt cannot be noted",
        file="spa_knock/client/confirming.py",
        text="        except (ClientError, OSError) as error:\n",
        without="        except ZeroDivisionError as error:\n",
        tests=(f"{_VERBS}::test_a_note_that_cannot_be_kept_disturbs_no_connection_and_is_told",),
    ),
    Guard(
        promise="the agent's parts share one memory of what somebody asked for, so nothing of it is overwritten",
        file="spa_knock/client/unlocked.py",
        text="        self.confirmer = Confirmer(home, receipts, self.link, key)\n",
        without="        self.confirmer = Confirmer(home, ReceiptFolder(home.path), self.link, key)\n",
        tests=(f"{_VERBS}::test_a_note_that_cannot_be_kept_disturbs_no_connection_and_is_told",),
    ),
    Guard(
        promise="a kept receipt that was altered is never sent",
        file="spa_knock/client/receipt_folder.py",
        text="            return read(read_private(path)).line\n",
        without='            return read_private(path).rstrip(b"\\n")\n',
        tests=(f"{_CONFIRMING}::test_a_kept_receipt_that_was_altered_is_never_sent",),
    ),
    Guard(
        promise="a kept receipt is held against what was told while its session ran",
        file="spa_knock/client/receipt_commands.py",
        text="        if told is not None and (trouble := watch(told, receipt, told.told_at_ms).trouble):\n",
        without="        if told is not None and (trouble := told.recording_id[:0]):\n",
        tests=(f"{_COMMANDS}::test_a_receipt_that_contradicts_what_was_told_while_its_session_ran_is_exposed",),
    ),
)
