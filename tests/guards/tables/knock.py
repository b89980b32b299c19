"""Guards of the knock: what the kernel sheds, holds back and ends, and when nothing is accepted."""

from tests.guards.guard import Guard

_INVISIBLE = "tests/contract/test_invisible.py"
_EGRESS = "tests/contract/test_egress_kernel.py"
_KERNEL = "tests/contract/test_knock_kernel.py"
_LOADING = "tests/contract/test_rules_loading.py"
_GUARD = "tests/unit/spa_knock/guard/test_guard.py"
_RULES = "tests/unit/spa_knock/guard/test_rules.py"
_CONFINE = "tests/unit/spa_knock/link/test_confine.py"

GUARDS = (
    Guard(
        promise="a fragment is dropped before it is put together, and nobody hears that its rest did not come",
        file="spa_knock/opener/ruleset.py",
        text='BaseChain("pieces", "prerouting", -450, False, tuple(_no_fragments(vendor))),',
        without='BaseChain("pieces", "prerouting", -450, False, ()),',
        tests=(f"{_KERNEL}::test_each_kind_of_junk_is_shed_at_its_stage_and_counted_there",),
    ),
    Guard(
        promise="a stranger hears no complaint about his packets",
        file="spa_knock/opener/ruleset.py",
        text="""        "icmpv6 type { time-exceeded, parameter-problem } drop",
        # Nor does the host tell the segment which groups it is in: neighbour discovery is all that is heard of it.
        f"oifname {vendor} icmp type != echo-request drop",
        f"oifname {vendor} icmpv6 type != {_QUIET_TYPES} drop",
""",
        without="",
        tests=(
            f"{_INVISIBLE}::test_a_stranger_hears_nothing_whatever_is_tried",
            f"{_INVISIBLE}::test_a_host_that_gets_an_address_does_not_report_its_groups",
            f"{_INVISIBLE}::test_while_a_colleague_knocks_and_works_the_stranger_still_hears_nothing",
            f"{_INVISIBLE}::test_when_a_colleague_has_gone_nobody_at_his_address_hears_anything_either",
            f"{_INVISIBLE}::test_under_a_flood_a_colleague_gets_in_and_the_stranger_hears_nothing",
            f"{_INVISIBLE}::test_with_guard_and_opener_dead_or_everything_stopped_the_rules_stay_and_nothing_is_said",
        ),
    ),
    Guard(
        promise="a used nonce is shed before the socket",
        file="spa_knock/opener/firewall.py",
        text="            *sets.renew(self._table, SEEN_SET, nonce[:8], SEEN_SECONDS * 1000),\n",
        without="",
        tests=(
            f"{_KERNEL}::test_a_used_nonce_is_shed_before_the_socket",
            "tests/unit/spa_knock/opener/test_firewall.py"
            "::test_opening_renews_the_window_and_remembers_the_nonce_in_one_transaction",
        ),
    ),
    Guard(
        promise="what has no gate tag that fits does not wake the guard",
        file="spa_knock/guard/gatekeeper.py",
        text="        program = gate_program(gate_keys)\n",
        without="        program = length_program()\n",
        tests=(
            f"{_KERNEL}::test_each_kind_of_junk_is_shed_at_its_stage_and_counted_there",
            "tests/unit/spa_knock/guard/test_gatekeeper.py"
            "::test_during_an_overlap_both_keys_pass_and_no_packet_is_lost_at_the_change",
        ),
    ),
    Guard(
        promise="what came in before the guard began is thrown away unread",
        file="spa_knock/guard/gatekeeper.py",
        text="            self._dropped += _drain(sock)\n",
        without="",
        tests=(
            "tests/unit/spa_knock/guard/test_gatekeeper.py::test_what_came_in_before_it_began_is_thrown_away_unread",
            "tests/contract/test_guard_process.py::test_what_came_in_before_the_guard_began_is_thrown_away_unread",
        ),
    ),
    Guard(
        promise="a revocation resets what was marked before it searches the kernel's table",
        file="spa_knock/opener/firewall.py",
        text="        destroyed = sum(self._destroy(connection) for connection in self._marked.take(mark))\n",
        without="        destroyed = 0\n",
        tests=(
            "tests/unit/spa_knock/opener/test_firewall.py"
            "::test_what_was_marked_here_is_reset_before_the_kernels_table_is_searched",
        ),
    ),
    Guard(
        promise="an opener that was started anew resets what another one marked",
        file="spa_knock/opener/firewall.py",
        text="        for flow in self._flows_with_mark(mark):\n",
        without="        for flow in ():\n",
        tests=("tests/contract/test_opener_kernel.py::test_a_new_opener_resets_what_another_one_marked",),
    ),
    Guard(
        promise="nothing reaches a guard that has no roster",
        file="spa_knock/guard/gatekeeper.py",
        text="            attach(sock, DROP_ALL)\n            self",
        without="            attach(sock, length_program())\n            self",
        tests=(f"{_KERNEL}::test_nothing_reaches_a_guard_that_has_no_roster",),
    ),
    Guard(
        promise="a head with ever new tails is shed",
        file="spa_knock/guard/guard.py",
        text="        if count >= FAILURES_OF_A_NONCE:\n",
        without="        if count >= 1 << 30:\n",
        tests=(
            f"{_GUARD}::test_a_nonce_whose_packets_fail_for_ever_is_shed_in_the_kernel",
            f"{_KERNEL}::test_an_observed_header_with_ever_new_tails_is_shed_after_sixty_four",
        ),
    ),
    Guard(
        promise="a stolen copy does not burn its owner's knock",
        file="spa_knock/guard/rules.py",
        text="    {Reason.SEAL, Reason.MALFORMED,",
        without="    {Reason.ADDRESS, Reason.SEAL, Reason.MALFORMED,",
        tests=(f"{_GUARD}::test_a_stolen_packet_that_fails_only_elsewhere_is_not_shed_from_under_its_owner",),
    ),
    Guard(
        promise="one element admits a bounded number of first packets",
        file="spa_knock/opener/ruleset.py",
        text='    budget = f"limit rate 1/hour burst {SYNS_OF_A_WINDOW} packets;"\n',
        without='    budget = ""\n',
        tests=(f"{_KERNEL}::test_an_element_admits_sixteen_first_packets_and_a_new_knock_as_many_again",),
    ),
    Guard(
        promise="a window does not outlast its grant",
        file="spa_knock/guard/rules.py",
        text="    return wanted if grant is None else min(wanted, max(1, -((now_ms - grant.not_after_ms) // 1000)))\n",
        without="    return wanted\n",
        tests=(f"{_RULES}::test_a_window_does_not_outlast_the_second_in_which_its_grant_ends",),
    ),
    Guard(
        promise="a wrong clock is forgiven only to a knock that names its address",
        file="spa_knock/guard/rules.py",
        text="body.loose_clock and device.loose_clock and body.address is not None and any(body.bind)",
        without="body.loose_clock and device.loose_clock",
        tests=(f"{_RULES}::test_a_wrong_clock_is_forgiven_to_nobody_else",),
    ),
    Guard(
        promise="what the gateway began ends with its lease, also in a socket whose process is gone",
        file="spa_knock/opener/ruleset.py",
        text='    leased = f"ct mark set {EGRESS_MARK:#x} accept"\n',
        without='    leased = "accept"\n',
        tests=(
            f"{_EGRESS}::test_a_running_flow_dies_in_the_kernel_when_its_lease_ends_and_nobody_tells_it",
            f"{_EGRESS}::test_bytes_left_in_the_socket_of_a_process_that_is_gone_do_not_leave_after_the_lease",
        ),
    ),
    Guard(
        promise="hostile code of the gateway reaches the leased targets alone",
        file="spa_knock/opener/ruleset.py",
        text='        f"meta skuid {ours} {refuse} drop",\n',
        without="",
        tests=(f"{_EGRESS}::test_hostile_code_reaches_nothing_before_a_lease_and_the_leased_target_alone_with_one",),
    ),
    Guard(
        promise="a revoked device stays revoked when the rules are loaded anew",
        file="spa_knock/opener/loading.py",
        text='    rules = "\\n".join([render(config), *carried_over(config.table), ""])\n',
        without="    rules = render(config)\n",
        tests=(f"{_KERNEL}::test_a_revoked_mark_outlives_loading_and_a_new_opener",),
    ),
    Guard(
        promise="an opener whose rules are not those in the kernel opens nothing",
        file="spa_knock/opener/dispatch.py",
        text="        if self._wrong_chains:\n            raise Refusal",
        without="        if False:\n            raise Refusal",
        tests=(
            f"{_KERNEL}::test_without_its_rules_the_opener_opens_nothing_and_the_guard_says_so",
            "tests/unit/spa_knock/opener/test_dispatch.py"
            "::test_rules_that_are_not_ours_open_no_door_until_they_are_whole_again",
        ),
    ),
    Guard(
        promise="a guard that could not open uses no knock up",
        file="spa_knock/guard/guard.py",
        text="            Fault.FIREWALL: not self._firewall_works,\n",
        without="            Fault.FIREWALL: False,\n",
        tests=(f"{_GUARD}::test_while_the_opener_could_not_open_no_knock_is_used_up",),
    ),
    Guard(
        promise="a clock set back brings no old knock back",
        file="spa_knock/guard/guard.py",
        text="            self._store.raise_fence(self._store.newest_ms())\n",
        without="            pass\n",
        tests=(
            "tests/contract/test_guard_clock.py::test_a_clock_set_back_stops_the_guard_and_brings_no_old_knock_back",
        ),
    ),
    Guard(
        promise="rules that lock their caller out are not loaded",
        file="spa_knock/opener/__main__.py",
        text="    require_kept(config)\n",
        without="",
        tests=(f"{_LOADING}::test_rules_that_lock_out_the_session_they_are_loaded_from_are_not_loaded",),
    ),
    Guard(
        promise="a trial that is not confirmed is taken back",
        file="spa_knock/opener/loading.py",
        text="    if before is None:\n",
        without="    return\n    if before is None:\n",
        tests=(
            f"{_LOADING}::test_an_unconfirmed_trial_brings_back_rules_and_configuration_but_no_revoked_device",
            f"{_LOADING}::test_a_first_trial_that_is_not_confirmed_leaves_no_table",
        ),
    ),
    Guard(
        promise="guard and opener confine themselves",
        file="spa_knock/link/confine.py",
        text="    _prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(filter_program))\n",
        without="",
        tests=(
            f"{_CONFINE}::test_what_serving_does_not_take_is_refused",
            f"{_CONFINE}::test_starting_a_program_or_reaching_into_a_process_kills",
            f"{_KERNEL}::test_guard_and_opener_hold_nothing_but_what_they_need",
        ),
    ),
)
