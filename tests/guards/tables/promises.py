"""Guards of the main promises that the ten tests do not name."""

from tests.guards.guard import Guard

_JUDGE = "tests/unit/broker/policy/test_judge.py"
_ENOUGH = f"{_JUDGE}::test_one_thing_that_is_not_as_it_should_be_is_enough_to_deny"
_KNOCK = "tests/unit/spa_knock/guard/test_rules.py"
_WIRING = "tests/unit/broker/app/test_reaction_table.py"
_APPROVING = "tests/unit/broker/access_requests/test_rules.py"

GUARDS = (
    Guard(
        promise="a session comes from the address of its knock and certificate",
        file="broker/policy/judge.py",
        text="if proof.source != source or knock.address not in (None, source):",
        without="if not source:",
        tests=(_ENOUGH,),
    ),
    Guard(
        promise="a device that is not trusted gets no permit",
        file="broker/policy/judge.py",
        text="    if not facts.device.is_trusted:",
        without="    if not facts.device.device_id:",
        tests=(_ENOUGH,),
    ),
    Guard(
        promise="nobody gets in outside the window",
        file="broker/policy/judge.py",
        text="    if not facts.grant.not_before <= now < facts.grant.not_after:",
        without="    if not now:",
        tests=(f"{_JUDGE}::test_no_permit_outside_the_window",),
    ),
    Guard(
        promise="a session ends with its permit, on either clock",
        file="broker/gateway/machine.py",
        text="now.wall_ms >= shared.ends_wall_ms or now.boot_us >= self._ends_boot_us",
        without="now.wall_ms >= shared.ends_wall_ms",
        tests=("tests/unit/broker/gateway/test_machine.py::test_the_earlier_of_both_clocks_ends_the_session",),
    ),
    Guard(
        promise="a cut drops the target's leg before anything else",
        file="broker/gateway/machine.py",
        text="        commands: list[c.Command] = [c.DropTarget()]\n",
        without="        commands: list[c.Command] = []\n",
        tests=("tests/unit/broker/gateway/test_machine.py::test_a_cut_drops_the_target_first_and_tells_why",),
    ),
    Guard(
        promise="a replayed knock opens nothing",
        file="spa_knock/guard/rules.py",
        text="            return Reason.REPLAYED\n",
        without="            pass\n",
        tests=(f"{_KNOCK}::test_a_stamp_that_is_not_newer_is_a_replay",),
    ),
    Guard(
        promise="a stolen knock that names its address is useless elsewhere",
        file="spa_knock/guard/rules.py",
        text="    if not _address_fits(body, device, source):",
        without="    if not source:",
        tests=(
            f"{_KNOCK}::test_a_stolen_knock_that_names_its_address_is_useless_elsewhere",
            "tests/contract/test_knock_verdicts.py"
            "::test_a_knock_stolen_before_it_arrived_is_useless_elsewhere_and_still_works_for_its_owner",
        ),
    ),
    Guard(
        promise="an expired roster accepts nobody",
        file="spa_knock/guard/rules.py",
        text="    if stand.now_ms >= stand.table.roster.expires_at_ms:",
        without="    if stand.now_ms < 0:",
        tests=(f"{_KNOCK}::test_an_expired_roster_accepts_nobody",),
    ),
    Guard(
        promise="an egress element ends by itself",
        file="spa_knock/opener/verbs.py",
        text='    def seconds(self, ceiling: int) -> int:\n        seconds = self._integer("seconds")\n        if not 1 <= seconds <= ceiling:',
        without='    def seconds(self, ceiling: int) -> int:\n        seconds = self._integer("seconds")\n        if ceiling < 0:',
        tests=("tests/unit/spa_knock/opener/test_verbs.py::test_egress_has_its_own_ceiling",),
    ),
    Guard(
        promise="only the pinned host key of a target is taken",
        file="broker/protocols/ssh/legs.py",
        text="known_hosts=([pinned], [], [])",
        without="known_hosts=None",
        tests=("tests/contract/test_ssh_proxy.py::test_a_target_with_another_host_key_gets_nothing",),
    ),
    Guard(
        promise="nobody approves their own request",
        file="broker/access_requests/rules.py",
        text="    if approver_id == request.person_id:",
        without="    if approver_id == '':",
        tests=(f"{_APPROVING}::test_who_may_not_approve_is_told_why",),
    ),
    Guard(
        promise="one person counts once",
        file="broker/access_requests/rules.py",
        text="    if any(approval.approver_id == approver_id for approval in given):",
        without="    if approver_id == '':",
        tests=(f"{_APPROVING}::test_one_person_counts_once",),
    ),
    Guard(
        promise="who vouched for a device does not approve its access alone",
        file="broker/access_requests/rules.py",
        text="    if len(people) >= required and people <= set(vouchers):",
        without="    if approver_id == '':",
        tests=(f"{_APPROVING}::test_who_may_not_approve_is_told_why",),
    ),
    Guard(
        promise="nobody grants more than was asked",
        file="broker/access_requests/rules.py",
        text="    if not timedelta(0) < allowed <= request.wish.duration:",
        without="    if allowed == timedelta(0):",
        tests=(
            f"{_APPROVING}::test_who_may_not_approve_is_told_why",
            f"{_APPROVING}::test_what_is_approved_is_never_wider_than_what_was_asked",
        ),
    ),
    Guard(
        promise="of several who approve, the shortest duration counts",
        file="broker/access_requests/rules.py",
        text="    shortest = min([allowed, *(approval.duration for approval in given)])",
        without="    shortest = allowed",
        tests=(
            f"{_APPROVING}::test_the_shortest_duration_that_somebody_allowed_counts",
            f"{_APPROVING}::test_what_is_approved_is_never_wider_than_what_was_asked",
        ),
    ),
    Guard(
        promise="a window is as long as was allowed, not as was asked",
        file="broker/access_requests/rules.py",
        text="    window = _window(request.wish, shortest, now)",
        without="    window = _window(request.wish, request.wish.duration, now)",
        tests=(f"{_APPROVING}::test_what_is_approved_is_never_wider_than_what_was_asked",),
    ),
    Guard(
        promise="a one-time code counts once",
        file="broker/identities/sign_in.py",
        text="rules.acceptable_steps(now, person.last_totp_step)",
        without="rules.acceptable_steps(now, 0)",
        tests=("tests/unit/broker/identities/test_sign_in.py::test_a_code_is_good_for_one_use",),
    ),
    Guard(
        promise="a certificate without principals is for nobody",
        file="broker/protocols/ssh/front.py",
        text="[name for name in cert.principals if name in (username, options.USERNAME)]",
        without="[username]",
        tests=(
            "tests/unit/broker/protocols/ssh/test_front.py::test_a_certificate_without_principals_is_refused_though_asyncssh_takes_it",
        ),
    ),
    Guard(
        promise="a recording's batches are chained",
        file="recorder/continuity.py",
        text="        self.chain = next_chain(self.chain, batch.digest)\n",
        without="",
        tests=("tests/unit/recorder/test_verify.py::test_a_whole_recording_is_sealed",),
    ),
    Guard(
        promise="what an unheard interrupt left on the line is judged with what follows",
        file="broker/gateway/input_gate.py",
        text="        if self._leftover:\n",
        without="        if self._leftover is None:\n",
        tests=(
            "tests/unit/broker/gateway/test_input_gate.py::test_what_an_unheard_interrupt_left_on_the_line_is_judged_with_what_follows",
            "tests/unit/broker/gateway/test_input_gate.py::test_an_engineers_own_interrupt_hides_nothing_that_the_shell_may_have_kept",
        ),
    ),
    Guard(
        promise="after a block nothing goes out until the shell has gone on",
        file="broker/gateway/input_gate.py",
        text=" and self._enter is None and not self._cancelling:",
        without=" and self._enter is None:",
        tests=(
            "tests/unit/broker/gateway/test_input_gate.py::test_what_is_typed_after_a_block_waits_for_the_shell_and_is_not_interrupted",
        ),
    ),
    Guard(
        promise="a knock from another address ends what the device runs from the old one",
        file="broker/app/reaction_table.py",
        text="    on(KnockAccepted, follow_knock)\n",
        without="",
        tests=(f"{_WIRING}::test_a_knock_from_another_address_ends_what_runs_from_the_old_one",),
    ),
    Guard(
        promise="a knock that is told late ends nothing that began after it",
        file="broker/sessions/service.py",
        text=" if before is None or row.admitted_at < before]",
        without="]",
        tests=(f"{_WIRING}::test_a_knock_that_is_told_late_leaves_what_has_begun_since",),
    ),
    Guard(
        promise="the guard cannot give a knock another address than the one its device named",
        file="broker/knock_link/facts.py",
        text="        if body.address is not None and str(body.address) != fact.address:",
        without="        if fact.address is None:",
        tests=(
            "tests/unit/broker/knock_link/test_facts.py::test_what_the_device_did_not_sign_is_not_kept_and_told_as_such",
        ),
    ),
)
