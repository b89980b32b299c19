"""Guards of the knock: what is judged and how, what is given back, and what is done when something is missing."""

from tests.guards.guard import Guard

_CONTRACT = "tests/contract"
_VERDICTS = f"{_CONTRACT}/test_knock_verdicts.py"
_KERNEL = f"{_CONTRACT}/test_knock_kernel.py"
_OPENER = f"{_CONTRACT}/test_opener_kernel.py"
_INVISIBLE = f"{_CONTRACT}/test_invisible.py"
_PROCESS = f"{_CONTRACT}/test_guard_process.py"
_GUARD = "tests/unit/spa_knock/guard/test_guard.py"
_RULES = "tests/unit/spa_knock/guard/test_rules.py"
_JUDGED = "spa_knock/guard/rules.py"
_BASE_RULES = "spa_knock/opener/ruleset.py"

GUARDS = (
    Guard(
        promise="a flow that exists learns of a smaller path",
        file=_BASE_RULES,
        text='        "ct state related icmp type destination-unreachable icmp code frag-needed accept",\n'
        '        "ct state related icmpv6 type packet-too-big accept",\n',
        without="",
        tests=(f"{_INVISIBLE}::test_a_smaller_path_is_learnt_for_a_flow_that_exists",),
    ),
    Guard(
        promise="neighbours find the host",
        file=_BASE_RULES,
        text='        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } ip6 hoplimit 255 accept",\n',
        without="",
        tests=(f"{_INVISIBLE}::test_neighbours_are_still_found_so_that_it_is_not_deafness",),
    ),
    Guard(
        promise="a datagram of another length is shed before the socket",
        file=_BASE_RULES,
        text='        f"{knock} udp length != {KNOCK_UDP_LENGTH} {_counted(Counter.LENGTH)} drop",\n',
        without="",
        tests=(f"{_KERNEL}::test_each_kind_of_junk_is_shed_at_its_stage_and_counted_there",),
    ),
    Guard(
        promise="junk at a knock port is not tracked",
        file=_BASE_RULES,
        text='        f"{knock} notrack",\n',
        without="",
        tests=(
            f"{_KERNEL}::test_each_kind_of_junk_is_shed_at_its_stage_and_counted_there",
            f"{_OPENER}::test_the_knock_filter_sheds_junk_and_repeats_and_tracks_nothing",
        ),
    ),
    Guard(
        promise="a full set refuses and evicts nothing",
        file=_BASE_RULES,
        text=' size {SET_SIZE}; }}" for name',
        without=' }}" for name',
        tests=(
            f"{_KERNEL}::test_a_full_set_refuses_and_evicts_nothing",
            "tests/unit/spa_knock/opener/test_ruleset.py"
            "::test_every_set_is_bounded_and_all_but_the_revoked_marks_time_out",
        ),
    ),
    Guard(
        promise="an open window ends by itself, with the opener dead too",
        file="spa_knock/opener/firewall.py",
        text="key, math.ceil(seconds * 1000)),",
        without="key, 3_600_000),",
        tests=(
            f"{_OPENER}::test_a_window_admits_one_address_and_ends_by_itself_while_its_connection_lives_on",
            f"{_OPENER}::test_a_killed_opener_leaves_doors_that_close",
        ),
    ),
    Guard(
        promise="a flow cannot be marked out of its revocation",
        file="spa_knock/opener/firewall.py",
        text="            if carried not in (0, mark):\n",
        without="            if carried < 0:\n",
        tests=(f"{_OPENER}::test_a_flow_cannot_be_re_marked_out_of_its_revocation",),
    ),
    Guard(
        promise="one knock's window is not shut by another behind the same address",
        file="spa_knock/opener/windows.py",
        text="        holders.pop(knock_id, None)\n        if holders:\n            return False\n",
        without="        holders.pop(knock_id, None)\n",
        tests=(
            f"{_OPENER}::test_one_knocks_shut_leaves_the_window_of_another_behind_the_same_address",
            "tests/unit/spa_knock/opener/test_windows.py::test_a_window_is_needed_until_its_last_knock_lets_go",
        ),
    ),
    Guard(
        promise="a window is shut once its connection has proved itself",
        file="broker/gateway/doorway.py",
        text="                await self._opener.shut(expectation)\n",
        without="",
        tests=(
            "tests/unit/broker/gateway/test_doorway.py"
            "::test_a_proven_connection_is_handed_on_with_the_bytes_behind_the_proof",
        ),
    ),
    Guard(
        promise="a stranger in a colleague's window is told to the trail",
        file="broker/gateway/doorway.py",
        text="            self._piggyback(source, port, error.reason)\n",
        without="            pass\n",
        tests=("tests/unit/broker/gateway/test_doorway.py::test_a_stranger_gets_a_reset_and_is_reported",),
    ),
    Guard(
        promise="an address of two people's devices counts as shared",
        file="broker/knock_link/sources.py",
        text="        return len({owner for owner, _ in self.owners.values()}) >= SHARED_BY_OWNERS or (\n",
        without="        return (\n",
        tests=(
            "tests/unit/broker/knock_link/test_sources.py"
            "::test_devices_of_two_people_make_an_address_shared_and_it_is_told_once_a_day",
        ),
    ),
    Guard(
        promise="without a live grant a device opens the vendor face and nothing else",
        file=_JUDGED,
        text="    if not _grant_fits(body, device, stand.now_ms):\n",
        without="    if stand.now_ms < 0:\n",
        tests=(
            f"{_VERDICTS}::test_a_device_without_a_live_grant_opens_the_vendor_face_and_nothing_else",
            f"{_RULES}::test_a_grant_must_be_there_in_time_and_for_this_door",
        ),
    ),
    Guard(
        promise="a knock at another gate is not decrypted",
        file=_JUDGED,
        text="    if not any(gate_matches(key, packet) for key in stand.table.gate_keys(epoch)):\n",
        without="    if epoch < 0:\n",
        tests=(f"{_RULES}::test_a_knock_for_another_gate_is_refused_without_decryption",),
    ),
    Guard(
        promise="a knock for another site opens nothing",
        file=_JUDGED,
        text="    if body.audience != stand.table.roster.audience:\n",
        without="    if not body.audience:\n",
        tests=(f"{_RULES}::test_a_knock_for_another_audience_is_refused",),
    ),
    Guard(
        promise="a knock of another time opens nothing",
        file=_JUDGED,
        text="            return Reason.CLOCK\n",
        without="            pass\n",
        tests=(f"{_RULES}::test_a_knock_from_another_time_is_refused",),
    ),
    Guard(
        promise="what may be missing from the history is fenced off",
        file=_JUDGED,
        text="            return Reason.FENCED\n",
        without="            pass\n",
        tests=(
            f"{_RULES}::test_a_stamp_before_the_start_fence_is_refused",
            f"{_KERNEL}::test_after_a_reboot_nothing_from_before_is_taken_again",
            f"{_PROCESS}::test_a_guard_without_history_lets_nobody_in_for_one_window",
        ),
    ),
    Guard(
        promise="a knock that its device did not sign opens nothing",
        file=_JUDGED,
        text="        verify_signed(opened.signed_knock, device.public_key)\n",
        without="        pass\n",
        tests=(f"{_RULES}::test_a_signature_of_another_key_is_refused",),
    ),
    Guard(
        promise="a device whose time is over opens nothing",
        file=_JUDGED,
        text="    if stand.now_ms >= device.not_after_ms:\n",
        without="    if stand.now_ms < 0:\n",
        tests=(f"{_RULES}::test_a_device_whose_time_is_over_is_refused",),
    ),
    Guard(
        promise="a stamp is stored before anything is opened, and outlives a kill",
        file="spa_knock/guard/guard.py",
        text="            self._store.accept(\n"
        "                knock.device.device_id,\n"
        "                knock.body.stamp_ms,\n"
        "                roster=table.roster.devices,\n"
        "                now_ms=self._moment.now_ms,\n"
        "            )\n",
        without="            pass\n",
        tests=(
            f"{_GUARD}::test_the_stamp_is_stored_before_anybody_is_asked",
            f"{_GUARD}::test_a_replay_is_refused_live_and_after_a_crash",
        ),
    ),
    Guard(
        promise="an answer that is read long after its limit opens nothing",
        file="spa_knock/guard/handover.py",
        text='            case Receiver.GATEWAY, "expecting" if now >= step.until + HELD_UP_SECONDS:\n',
        without='            case Receiver.GATEWAY, "expecting" if now < 0:\n',
        tests=(
            "tests/unit/spa_knock/guard/test_handover.py"
            "::test_an_answer_read_late_opens_only_for_so_long_and_an_opening_is_always_told",
        ),
    ),
    Guard(
        promise="junk leaves no line in the log",
        file="spa_knock/guard/guard.py",
        text='        self._counters[f"refused_{reason}"] += 1\n',
        without='        self._counters[f"refused_{reason}"] += 1\n        _log.warning("refused: %s", reason)\n',
        tests=(
            f"{_VERDICTS}::test_junk_leaves_no_line_in_the_log",
            f"{_GUARD}::test_junk_moves_a_counter_and_nothing_else",
        ),
    ),
    Guard(
        promise="a revoked device is out before the next roster comes",
        file="spa_knock/guard/guard.py",
        text="            self._table.forget(device_id)\n",
        without="            pass\n",
        tests=(
            f"{_GUARD}::test_a_revoked_device_is_out_at_once_with_what_it_has_under_way",
            f"{_VERDICTS}::test_a_revoked_device_stays_out_whatever_is_started_anew",
        ),
    ),
    Guard(
        promise="another firewall that sends our ports elsewhere is told",
        file="broker/app/firewall_check.py",
        text='        if ports and verdicts & {"dnat", "redirect", "tproxy"}:\n',
        without="        if ports and verdicts & set():\n",
        tests=("tests/unit/broker/app/test_firewall_check.py::test_other_rules_that_meddle_are_told",),
    ),
    Guard(
        promise="a guard whose roster is over says so",
        file="spa_knock/guard/guard.py",
        text="            Fault.ROSTER: table is not None and self._moment.now_ms >= table.roster.expires_at_ms,\n",
        without="            Fault.ROSTER: False,\n",
        tests=(f"{_VERDICTS}::test_a_roster_that_is_over_closes_until_another_comes",),
    ),
    Guard(
        promise="a guard whose clock jumped accepts nothing for a while",
        file="spa_knock/guard/guard.py",
        text="            Fault.CLOCK: not self._moment.is_steady,\n",
        without="            Fault.CLOCK: False,\n",
        tests=(f"{_GUARD}::test_a_jump_of_the_clock_stops_the_guard_until_it_is_steady",),
    ),
    Guard(
        promise="a guard that cannot write its stamps accepts nothing",
        file="spa_knock/guard/guard.py",
        text="            Fault.STAMPS: not self._store_works,\n",
        without="            Fault.STAMPS: False,\n",
        tests=(f"{_GUARD}::test_stamps_that_cannot_be_written_stop_the_guard_until_they_can",),
    ),
    Guard(
        promise="a device that renews itself is known by both its keys",
        file="spa_knock/guard/roster.py",
        text="for one in devices.values() if one.next_keys is not None]\n",
        without="for one in devices.values() if one.next_keys is one]\n",
        tests=("tests/flows/test_rotation.py::test_no_knock_is_missed_while_a_device_renews_itself_whatever_is_lost",),
    ),
    Guard(
        promise="both site keys open the gate while one is replaced",
        file="spa_knock/guard/roster.py",
        text="for site_key in self.roster.site_keys)\n",
        without="for site_key in self.roster.site_keys[:1])\n",
        tests=("tests/flows/test_rotation.py::test_no_knock_is_missed_while_the_site_key_changes",),
    ),
)
