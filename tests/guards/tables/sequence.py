"""Guards of what gateways tell: signed, numbered, linked, and kept through every kill."""

from tests.guards.guard import Guard

_SEQUENCE = "tests/unit/broker/sessions/test_sequence.py"
_RULES = "tests/unit/broker/sessions/test_sequence_rules.py"
_SPOOL = "tests/unit/broker/gateway/test_spool.py"
_AUTHORITY = "tests/unit/broker/gateway/test_authority.py"

GUARDS = (
    Guard(
        promise="a boot's key is one that the gateway's evidence key vouches for",
        file="broker/sessions/sequence.py",
        text="            boot.check(self._evidence_public)\n",
        without="",
        tests=(f"{_SEQUENCE}::test_a_key_that_the_evidence_key_does_not_vouch_for_speaks_for_nobody",),
    ),
    Guard(
        promise="an entry is signed by its boot's key",
        file="broker/sessions/sequence.py",
        text="            entry.check(boot)\n",
        without="",
        tests=(
            f"{_SEQUENCE}::test_what_is_done_to_a_spool_that_waits_is_found",
            f"{_SEQUENCE}::test_who_has_the_evidence_key_but_not_the_memory_adds_nothing_to_a_start_that_is_known",
        ),
    ),
    Guard(
        promise="a worker speaks for itself alone",
        file="broker/sessions/sequence.py",
        text="        return Refused.OTHER_WORKER if boot.worker != worker else None\n",
        without="        return None\n",
        tests=(f"{_SEQUENCE}::test_a_key_that_the_evidence_key_does_not_vouch_for_speaks_for_nobody",),
    ),
    Guard(
        promise="a boot has one key",
        file="broker/sessions/sequence_rules.py",
        text="    if known.public != boot.public:\n        return Refused.OTHER_KEY\n",
        without="",
        tests=(
            f"{_RULES}::test_a_second_key_for_the_same_start_is_refused",
            f"{_SEQUENCE}::test_who_has_the_evidence_key_but_not_the_memory_adds_nothing_to_a_start_that_is_known",
        ),
    ),
    Guard(
        promise="an entry counts once",
        file="broker/sessions/sequence_rules.py",
        text="    if entry.seq <= known.last_seq:\n",
        without="    if entry.seq < 0:\n",
        tests=(f"{_SEQUENCE}::test_an_answer_that_got_lost_makes_nothing_count_twice",),
    ),
    Guard(
        promise="the next number names the entry before it",
        file="broker/sessions/sequence_rules.py",
        text="        return Refused.NOT_CHAINED\n",
        without="        pass\n",
        tests=(f"{_RULES}::test_the_next_number_that_names_another_one_before_it_is_refused",),
    ),
    Guard(
        promise="a missing number alarms",
        file="broker/sessions/sequence.py",
        text="                if judged.gap is not None:\n",
        without="                if judged.gap is None and judged.gap is not None:\n",
        tests=(f"{_SEQUENCE}::test_what_is_done_to_a_spool_that_waits_is_found",),
    ),
    Guard(
        promise="a boot that is over says nothing new",
        file="broker/sessions/sequence_rules.py",
        text="        return Refused.BOOT_IS_OVER\n",
        without="        pass\n",
        tests=(f"{_SEQUENCE}::test_a_tail_that_was_put_back_after_a_start_is_not_taken",),
    ),
    Guard(
        promise="a boot goes on where the one before it was",
        file="broker/sessions/sequence_rules.py",
        text="    if entry.previous != (latest.link if latest is not None else ORIGIN):\n",
        without="    if entry.previous == b'':\n",
        tests=(
            f"{_SEQUENCE}::test_a_spool_cut_below_what_control_took_is_found_at_the_next_start",
            f"{_SEQUENCE}::test_a_spool_that_was_removed_is_found_at_the_next_start",
            f"{_SEQUENCE}::test_a_spool_marked_as_delivered_is_found_at_the_next_start",
            f"{_SEQUENCE}::test_an_old_copy_of_the_spool_is_found_at_the_next_start",
        ),
    ),
    Guard(
        promise="what a gateway announced is missed when it is cut off",
        file="broker/sessions/sequence_rules.py",
        text="    if latest is not None and told is not None and told.seq > latest.last_seq:\n",
        without="    if latest is not None and told is not None and told.seq < 0:\n",
        tests=(f"{_SEQUENCE}::test_a_tail_that_the_gateway_had_announced_is_missed_when_it_is_cut_off",),
    ),
    Guard(
        promise="what a gateway's ping announces is remembered",
        file="broker/sessions/authority.py",
        text="                    if told is not None:\n",
        without="                    if told is None:\n",
        tests=(
            "tests/unit/broker/sessions/test_authority.py"
            "::test_what_a_ping_announces_is_missed_when_the_next_start_does_not_have_it",
        ),
    ),
    Guard(
        promise="who has signed once is not heard unsigned",
        file="broker/sessions/reports.py",
        text="            is_late = self._sequence.is_signed_within(unit, worker)\n",
        without="            is_late = False\n",
        tests=(f"{_SEQUENCE}::test_a_gateway_that_does_not_sign_is_heard_until_it_has_signed_once",),
    ),
    Guard(
        promise="only a worker's first signed boot takes over what was not signed",
        file="broker/sessions/sequence_rules.py",
        text="    return known is not None and known.number == 1\n",
        without="    return known is not None\n",
        tests=(f"{_SEQUENCE}::test_what_is_done_to_a_spool_that_waits_is_found",),
    ),
    Guard(
        promise="nothing is taken over under the name of a boot that signs",
        file="broker/sessions/sequence.py",
        text=" and (_known(unit.session, worker, old_boot_id) is None)\n",
        without="\n",
        tests=(f"{_SEQUENCE}::test_nothing_is_taken_over_under_the_name_of_a_start_that_signs",),
    ),
    Guard(
        promise="a spool that is changed under the gateway is written anew and told",
        file="broker/gateway/spool.py",
        text="            if not self._is_as_left():\n",
        without="            if False:\n",
        tests=(f"{_SPOOL}::test_a_file_that_is_changed_under_a_running_gateway_is_written_anew_and_told",),
    ),
    Guard(
        promise="a spool is written anew beside the old one",
        file="broker/gateway/spool.py",
        text='        fresh = self._path.with_name(self._path.name + ".new")\n',
        without="        fresh = self._path\n",
        tests=(f"{_SPOOL}::test_a_start_that_is_killed_between_two_steps_loses_nothing",),
    ),
    Guard(
        promise="what is kept is forced to disk though control is away",
        file="broker/gateway/authority.py",
        text="            tasks.create_task(self._sync())\n",
        without="",
        tests=(f"{_AUTHORITY}::test_what_is_kept_is_forced_to_disk_while_control_is_away",),
    ),
)
