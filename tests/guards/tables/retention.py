"""Guards of what keeps recordings: their time, holds, two people, and tombstones that stay."""

from tests.guards.guard import Guard

_RULES = "tests/unit/broker/recordings/test_retention_rules.py"
_STORE = "tests/unit/broker/recordings/test_retention_store.py"
_PURGING = "tests/unit/broker/recordings/test_purging.py"
_REMOVAL = "tests/unit/broker/recordings/test_removal.py"
_REMOVING = "tests/unit/broker/gateway/test_removing.py"
_CHECK = "tests/unit/broker/app/test_purge_check.py"
_STONE = "tests/unit/recorder/test_tombstone.py"

GUARDS = (
    Guard(
        promise="a site cannot set less than 180 days",
        file="broker/app/settings.py",
        text="    if not LEAST_KEEP_DAYS <= section.keep_days <= MOST_KEEP_DAYS:\n",
        without="    if False:\n",
        tests=("tests/unit/broker/app/test_settings.py::test_what_cannot_be_used_is_named",),
    ),
    Guard(
        promise="less than 180 days is never meant, whoever builds the service",
        file="broker/recordings/retention_rules.py",
        text="    return max(recording.opened_at, recording.closed_at) + max(keep, LEAST_KEPT)\n",
        without="    return max(recording.opened_at, recording.closed_at) + keep\n",
        tests=(f"{_RULES}::test_less_than_180_days_is_never_meant",),
    ),
    Guard(
        promise="a gateway that tells an end in the past shortens nothing",
        file="broker/recordings/retention_rules.py",
        text="    return max(recording.opened_at, recording.closed_at) + max(keep, LEAST_KEPT)\n",
        without="    return recording.closed_at + max(keep, LEAST_KEPT)\n",
        tests=(f"{_RULES}::test_a_gateway_that_tells_an_end_in_the_past_shortens_nothing",),
    ),
    Guard(
        promise="an earlier purge is refused",
        file="broker/recordings/retention_rules.py",
        text="    if now < until:\n",
        without="    if False:\n",
        tests=(
            f"{_RULES}::test_a_recording_is_kept_for_180_days_after_its_end_to_the_moment",
            f"{_PURGING}::test_a_purge_before_180_days_is_refused",
        ),
    ),
    Guard(
        promise="a hold bars, also one that was placed after the ask",
        file="broker/recordings/retention_rules.py",
        text="    if any(hold.lifted_at is None for hold in holds):\n",
        without="    if False:\n",
        tests=(
            f"{_RULES}::test_one_standing_hold_bars_whatever_was_lifted_beside_it",
            f"{_PURGING}::test_what_is_held_is_not_even_asked_for",
            f"{_PURGING}::test_a_hold_that_was_placed_in_between_keeps_all_of_the_list",
        ),
    ),
    Guard(
        promise="who asks for a purge never confirms it",
        file="broker/recordings/retention_rules.py",
        text="    if confirmer == purge.asked_by:\n",
        without="    if False:\n",
        tests=(
            f"{_RULES}::test_who_asked_never_confirms_and_neither_does_who_reviewed_another_list_or_came_late",
            f"{_PURGING}::test_whoever_asked_never_confirms",
        ),
    ),
    Guard(
        promise="an ask lapses",
        file="broker/recordings/retention_rules.py",
        text="    if now >= purge.expires_at:\n",
        without="    if False:\n",
        tests=(f"{_PURGING}::test_an_ask_lapses_and_what_lapsed_is_not_confirmed",),
    ),
    Guard(
        promise="the list that is destroyed is the one that was reviewed",
        file="broker/recordings/retention_rules.py",
        text="    if reviewed != purge.list_sha256:\n",
        without="    if False:\n",
        tests=(f"{_PURGING}::test_another_list_than_the_reviewed_is_not_destroyed",),
    ),
    Guard(
        promise="no purge makes a tampering lawful afterwards",
        file="broker/recordings/purging.py",
        text="            elif barrier is None and name == altered:\n",
        without="            elif False:\n",
        tests=(f"{_PURGING}::test_no_purge_makes_a_tampering_lawful_afterwards",),
    ),
    Guard(
        promise="the ask of somebody who may no longer ask does not count",
        file="broker/recordings/purging.py",
        text="            self._check_asker(unit.session, row.asked_by)\n",
        without="",
        tests=(f"{_PURGING}::test_the_ask_of_somebody_who_may_no_longer_ask_does_not_count",),
    ),
    Guard(
        promise="nobody looks into a destroyed recording while its file waits",
        file="broker/recordings/service.py",
        text="        if self._is_destroyed(recording_id):\n",
        without="        if False:\n",
        tests=(f"{_PURGING}::test_what_was_destroyed_is_not_destroyed_again_nor_listed_nor_looked_into",),
    ),
    Guard(
        promise="the database keeps recordings for 180 days",
        file="broker/recordings/retention_store.py",
        text="        refuses_when=_YOUNG.format(_YOUNG_SQLITE),\n",
        without='        refuses_when="1 = 2",\n',
        tests=(f"{_STORE}::test_the_database_lets_no_tombstone_be_before_180_days",),
    ),
    Guard(
        promise="the database destroys nothing that is held",
        file="broker/recordings/retention_store.py",
        text='        "AND recording_holds.lifted_by IS NULL)",\n',
        without='        "AND recording_holds.lifted_by IS NULL AND 1 = 2)",\n',
        tests=(f"{_STORE}::test_the_database_lets_nothing_held_be_destroyed",),
    ),
    Guard(
        promise="the database takes confirmations from auditors only, and in time",
        file="broker/recordings/retention_store.py",
        text="        f\"(NEW.decided_at >= OLD.expires_at OR {_unless_role('decided_by', 'auditor')})\",\n",
        without='        "1 = 2",\n',
        tests=(f"{_STORE}::test_the_database_lets_only_an_auditor_confirm_in_time_and_never_who_asked",),
    ),
    Guard(
        promise="a gateway is told to remove only what has its tombstone, until it answers",
        file="broker/recordings/removal.py",
        text="        due = [one for one in waiting if (last := told[one.recording_id]) is None or now - last >= _AGAIN]\n",
        without="        due = [one for one in waiting if told[one.recording_id] is None]\n",
        tests=(f"{_REMOVAL}::test_what_is_not_answered_is_ordered_again_after_a_minute_and_at_once_by_the_next_start",),
    ),
    Guard(
        promise="the gateway removes nothing without the site's signature",
        file="broker/gateway/removing.py",
        text="            read_line(line, self._key())\n",
        without="            read_line(line, None)\n",
        tests=(f"{_REMOVING}::test_nothing_is_removed_without_the_sites_signature",),
    ),
    Guard(
        promise="the gateway believes a recording's age, not control's word",
        file="broker/gateway/removing.py",
        text="    if now_ms - max(header.created_at_ms, ended_ms) < LEAST_KEPT_MS:\n",
        without="    if False:\n",
        tests=(
            f"{_REMOVING}::test_control_cannot_have_a_young_recording_removed_whatever_it_signs",
            f"{_REMOVING}::test_a_broken_recording_counts_from_when_it_was_marked",
        ),
    ),
    Guard(
        promise="the tombstone is on disk before the file goes",
        file="broker/gateway/removing.py",
        text="            leave_tombstone(path, line)\n",
        without="",
        tests=(f"{_REMOVING}::test_a_signed_tombstone_takes_the_file_and_stays_in_its_place",),
    ),
    Guard(
        promise="a tombstone of a young recording cannot be made nor read",
        file="recorder/tombstone.py",
        text="        if self.purged_at_ms - max(self.opened_at_ms, self.closed_at_ms) < LEAST_KEPT_MS:\n",
        without="        if False:\n",
        tests=(f"{_STONE}::test_what_no_lawful_purge_leaves_is_no_tombstone",),
    ),
    Guard(
        promise="verify names a purge without two people's agreement",
        file="broker/app/purge_check.py",
        text="        if asker != tombstone.asked_by or self._confirmed.get(tombstone.purge_id) != (record.actor, asker):\n",
        without="        if False:\n",
        tests=(f"{_CHECK}::test_an_unlawful_purge_is_named",),
    ),
    Guard(
        promise="verify believes only tombstones that the site signed",
        file="broker/app/purge_check.py",
        text="            tombstone.check(signature, self._public)\n",
        without="",
        tests=(f"{_CHECK}::test_an_unlawful_purge_is_named",),
    ),
    Guard(
        promise="verify names a purge under a hold",
        file="broker/app/purge_check.py",
        text="        if self._holds.get(record.subject):\n",
        without="        if False:\n",
        tests=(f"{_CHECK}::test_an_unlawful_purge_is_named",),
    ),
    Guard(
        promise="a disk that cannot hold 180 days is told",
        file="broker/recordings/forecast.py",
        text="    if held is not None and held < keep.days:\n",
        without="    if False:\n",
        tests=("tests/unit/broker/recordings/test_forecast.py::test_a_disk_that_cannot_hold_180_days_is_short",),
    ),
    Guard(
        promise="a disk that will be full soon is told",
        file="broker/recordings/forecast.py",
        text="    if until_full is not None and until_full < SOON.days:\n",
        without="    if False:\n",
        tests=(
            "tests/unit/broker/recordings/test_forecast.py"
            "::test_a_disk_that_is_full_within_30_days_is_an_alarm_although_it_could_hold_enough",
        ),
    ),
    Guard(
        promise="the verifier believes a tombstone only with the site's key",
        file="recorder/grave.py",
        text="    return Grave(path, tombstone, public is not None, message)\n",
        without="    return Grave(path, tombstone, True, message)\n",
        tests=("tests/unit/recorder/test_grave.py::test_without_the_sites_key_a_tombstone_proves_nothing",),
    ),
)
