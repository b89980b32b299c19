"""Guards of the evidence core: recordings that nobody loses or alters unnoticed."""

from tests.guards.guard import Guard

_DRIVER = "tests/unit/broker/gateway/test_driver.py"
_WRITER = "tests/unit/recorder/test_writer.py"
_MASKING = "tests/unit/recorder/test_masking.py"
_UNMASKING = "tests/unit/broker/recordings/test_unmasking.py"

GUARDS = (
    Guard(
        promise="a recording does not begin on less than its reserve",
        file="recorder/writer.py",
        text="            writer._make_room(len(front))\n",
        without="",
        tests=(
            f"{_WRITER}::test_a_recording_that_cannot_hold_its_room_does_not_begin",
            f"{_WRITER}::test_room_is_held_before_the_first_frame_and_given_back_at_the_end",
        ),
    ),
    Guard(
        promise="the trailer always finds its place",
        file="recorder/writer.py",
        text="        needed = end + _TRAILER_ROOM\n",
        without="        needed = end\n",
        tests=(f"{_WRITER}::test_a_recording_never_grows_above_its_bound_and_is_sealed_below_it",),
    ),
    Guard(
        promise="a recording never grows above its bound",
        file="recorder/writer.py",
        text="        if settings.most_bytes and needed > settings.most_bytes:\n",
        without="        if settings.most_bytes and needed < 0:\n",
        tests=(f"{_WRITER}::test_a_recording_never_grows_above_its_bound_and_is_sealed_below_it",),
    ),
    Guard(
        promise="what waits for room is not sent before it is recorded",
        file="broker/gateway/driver.py",
        text="            if not self._carry_out(self._waiting[0]):\n",
        without="            if not self._carry_out(self._waiting[0]) and self._stall is None:\n",
        tests=(f"{_DRIVER}::test_a_session_that_must_wait_sends_nothing_until_there_is_room_and_then_all_in_order",),
    ),
    Guard(
        promise="a session that waits for room ends at once, and nothing of what waited is sent",
        file="broker/gateway/driver.py",
        text="        if self._stall is not None and any(isinstance(command, c.Close) for command in self._waiting):\n",
        without="        if self._stall is not None and not self._waiting:\n",
        tests=(f"{_DRIVER}::test_a_session_that_waits_for_room_ends_at_once_and_sends_nothing_of_what_waited",),
    ),
    Guard(
        promise="without room for recordings nobody is admitted",
        file="broker/gateway/gateway.py",
        text="        if self.room is not None and not self.room.admits:\n",
        without="        if self.room is not None and self.room is None:\n",
        tests=(
            "tests/unit/broker/gateway/test_gateway.py"
            "::test_without_room_for_recordings_nobody_is_admitted_and_control_is_not_asked",
        ),
    ),
    Guard(
        promise="an anchor in the trail was signed by the recording's own key",
        file="broker/recordings/service.py",
        text="            check_head(head, row.header_sha256, row.signing_public)\n",
        without="            pass\n",
        tests=(
            "tests/unit/broker/sessions/test_reports.py"
            "::test_a_head_that_the_recordings_key_did_not_sign_is_no_anchor_but_an_alarm",
        ),
    ),
    Guard(
        promise="a recording cut before an audited head is truncated",
        file="recorder/verify.py",
        text="        if last > self._followed.batches:\n",
        without="        if last < 0:\n",
        tests=(
            "tests/unit/broker/recordings/test_audited.py"
            "::test_a_crashed_recording_cut_before_an_audited_head_is_truncated",
        ),
    ),
    Guard(
        promise="the console vouches for no recording whose records in the trail were altered",
        file="broker/recordings/reading.py",
        text="    if trail.standing is Standing.ALTERED or trail.audited is None or _differs(recording, trail.audited):\n",
        without="    if trail.audited is None or _differs(recording, trail.audited):\n",
        tests=(
            "tests/unit/broker/recordings/test_reading.py"
            "::test_a_sound_file_is_not_verified_when_the_trail_about_it_was_altered_or_is_gone",
        ),
    ),
    Guard(
        promise="the console compares the trail's head with the witness's checkpoint",
        file="broker/recordings/trail.py",
        text="    return Standing.WITNESSED if result.head == checkpoint.head else Standing.ALTERED\n",
        without="    return Standing.WITNESSED\n",
        tests=("tests/unit/broker/recordings/test_trail.py::test_another_head_than_the_witnessed_is_found",),
    ),
    Guard(
        promise="another history than the audited head is forged",
        file="recorder/verify.py",
        text="        if anchored is not None and anchored != self._followed.chain:\n",
        without="        if anchored is not None and anchored == b'':\n",
        tests=(f"{_DRIVER}::test_heads_are_told_while_the_session_runs_and_the_disk_is_synced_beside_it",),
    ),
    Guard(
        promise="typed input is masked before it is in the file or shown to who watches",
        file="broker/gateway/session_recording.py",
        text="            return [self._mask.seal(one) if one.kind is FrameKind.MASKED_INPUT else one for one in frames]\n",
        without="            return frames\n",
        tests=(
            "tests/unit/broker/gateway/test_session_recording.py"
            "::test_typed_input_is_masked_in_the_file_and_for_who_watches",
        ),
    ),
    Guard(
        promise="stars and other output do not make a typed word a shown one",
        file="broker/gateway/echo.py",
        text="            return shown.startswith(typed) or bool(shown and typed.startswith(shown))\n",
        without="            return bool(shown)\n",
        tests=("tests/unit/broker/gateway/test_echo.py::test_only_what_stands_on_the_line_was_shown",),
    ),
    Guard(
        promise="a secret that was abandoned is not told with the line behind it",
        file="broker/gateway/echo.py",
        text="        while (match := _ABANDONS.search(data)) is not None:\n",
        without="        while (match := _ABANDONS.search(data[:0])) is not None:\n",
        tests=(
            "tests/unit/broker/gateway/test_echo.py"
            "::test_a_secret_that_was_abandoned_is_not_told_with_the_line_behind_it",
        ),
    ),
    Guard(
        promise="one auditor's key opens no more than that auditor's part",
        file="recorder/masking.py",
        text="        halves = (first, _xor(key, first))\n",
        without="        halves = (key, bytes(KEY_BYTES))\n",
        tests=(f"{_MASKING}::test_one_auditor_alone_reads_nothing_whatever_they_put_in_place_of_the_other",),
    ),
    Guard(
        promise="two parts come from two people",
        file="broker/recordings/unmasking.py",
        text="            if other is not None and other.person_id == person_id:\n",
        without="            if other is not None and other.person_id == '':\n",
        tests=(f"{_UNMASKING}::test_one_person_with_both_parts_reads_nothing",),
    ),
    Guard(
        promise="a file that changed under its index is not shown",
        file="recorder/replay.py",
        text="                number, chain = number + 1, next_chain(chain, record.digest)\n",
        without="                number, chain = number + 1, chain\n",
        tests=("tests/unit/recorder/test_indexing.py::test_a_chunk_is_read_without_what_stands_before_it",),
    ),
)
