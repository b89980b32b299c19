"""The guards behind the ten tests that matter first (docs/threat-model.md), in their order."""

from tests.guards.guard import Guard

_PROOF = "broker/sessions/proof.py"
_JUDGE = "broker/policy/judge.py"
_SESSIONS = "tests/unit/broker/sessions"

GUARDS = (
    # 1. Two vendors behind one address
    Guard(
        promise="1: a connection without a knock's proof reaches no parser and gets no byte",
        file="broker/gateway/knocks.py",
        text="            check_proof(proof, expectation.proof_key, bytes.fromhex(knock_id), door)\n",
        without="            pass\n",
        tests=(
            "tests/unit/broker/gateway/test_knocks.py::test_a_wrong_proof_does_not_use_the_knock_up_until_it_was_tried_too_often",
            "tests/contract/test_ssh_proxy.py::test_strangers_get_a_reset_and_no_byte",
        ),
    ),
    Guard(
        promise="1: a proof serves one connection",
        file="broker/gateway/knocks.py",
        text="        self._forget(knock_id)\n        return expectation\n",
        without="        return expectation\n",
        tests=(
            "tests/unit/broker/gateway/test_knocks.py::test_a_proof_claims_its_knock_once",
            "tests/contract/test_ssh_proxy.py::test_strangers_get_a_reset_and_no_byte",
        ),
    ),
    Guard(
        promise="1: a proof counts for the address that its knock opened",
        file="broker/gateway/knocks.py",
        text="expectation.address != plain_address(source)",
        without="not source",
        tests=(
            "tests/unit/broker/gateway/test_knocks.py::test_a_proof_counts_for_its_door_and_address_and_is_not_used_up_by_others",
        ),
    ),
    Guard(
        promise="1: a flow that cannot be marked does not go on",
        file="broker/gateway/doorway.py",
        text="                await self._opener.mark(expectation, port)\n",
        without="",
        tests=("tests/unit/broker/gateway/test_doorway.py::test_a_flow_that_cannot_be_marked_does_not_go_on",),
    ),
    Guard(
        promise="1: a revoked mark ends its flows",
        file="spa_knock/opener/ruleset.py",
        text='        f"meta l4proto tcp ct mark @{REVOKED_SET} {_counted(Counter.REVOKED)} reject with tcp reset",\n'
        '        f"ct mark @{REVOKED_SET} drop",\n',
        without="",
        tests=("tests/contract/test_opener_kernel.py::test_the_rule_alone_resets_a_revoked_flow",),
    ),
    # 2. The first stock ssh, no private key on disk
    Guard(
        promise="2: the client's agent signs nothing but a login with a listed certificate",
        file="spa_knock/client/agent_protocol.py",
        text="or not is_login(data, blob):",
        without=":",
        tests=("tests/unit/spa_knock/client/test_agent_protocol.py::test_nothing_but_a_login_is_signed",),
    ),
    # 3. A gateway proves what it claims
    Guard(
        promise="3: the client's own signature over the connection is checked",
        file=_PROOF,
        text="            key.verify(blob, data)\n",
        without="            pass\n",
        tests=(
            f"{_SESSIONS}/test_service.py::test_a_connection_with_one_forged_part_is_refused",
            f"{_SESSIONS}/test_proof.py::test_every_flipped_bit_of_a_proof_is_refused",
        ),
    ),
    Guard(
        promise="3: the signed data is of this connection and user",
        file=_PROOF,
        text="signed.session_identifier != proof.session_identifier or signed.username != username",
        without="not signed.certificate",
        tests=(f"{_SESSIONS}/test_service.py::test_a_connection_with_one_forged_part_is_refused",),
    ),
    Guard(
        promise="3: a certificate counts only as it was handed out",
        file=_PROOF,
        text="    if told != (issued",
        without="    if not told and told != (issued",
        tests=(f"{_SESSIONS}/test_proof.py::test_a_certificate_counts_only_as_it_was_handed_out",),
    ),
    Guard(
        promise="3: a knock that its device did not sign, or of another connection, proves nothing",
        file=_PROOF,
        text="    if nonce.hex() != knock_id:",
        without="    if not nonce:",
        tests=(f"{_SESSIONS}/test_service.py::test_a_connection_with_one_forged_part_is_refused",),
    ),
    Guard(
        promise="3: a connection's proof admits once",
        file="broker/sessions/admission.py",
        text="        if store.was_used(session, identifier_sha256(request), request.knock_id):",
        without="        if request.knock_id == '':",
        tests=(f"{_SESSIONS}/test_service.py::test_the_same_proof_does_not_admit_twice",),
    ),
    Guard(
        promise="3: a credential is leased once for a session",
        file="broker/vault/service.py",
        text="        if lease_of_session(unit.session, session_id) is not None:",
        without="        if session_id == '':",
        tests=("tests/unit/broker/vault/test_service.py::test_a_session_is_given_its_secret_once",),
    ),
    Guard(
        promise="3: a lease needs the session's own gateway",
        file="broker/sessions/service.py",
        text="row.worker != gateway.worker or row.boot_id != gateway.boot_id",
        without="not gateway.worker",
        tests=(f"{_SESSIONS}/test_service.py::test_a_lease_needs_the_sessions_own_permit_gateway_and_recording",),
    ),
    # 4. Control is gone
    Guard(
        promise="4: a socket that outlived its process is not control",
        file="broker/gateway/local_link.py",
        text="            if greeting is None:\n",
        without="            if greeting is not None:\n                writer.write(encode(greeting))\n            if True:\n",
        tests=("tests/unit/broker/gateway/test_local_link.py::test_a_socket_that_outlived_its_process_is_no_link",),
    ),
    Guard(
        promise="4: a control that hangs is noticed",
        file="broker/gateway/authority.py",
        text="            tasks.create_task(self._ping())\n",
        without="",
        tests=(
            "tests/unit/broker/gateway/test_authority.py::test_a_control_that_hangs_is_noticed_though_nothing_is_asked_of_it",
        ),
    ),
    Guard(
        promise="4: a session that must be watched freezes at once without control",
        file="broker/gateway/machine.py",
        text="return self._freeze(Cause.CONTROL, told.CONTROL_AWAY, now) if self._must_be_watched else []",
        without="return []",
        tests=(
            "tests/unit/broker/gateway/test_machine.py::test_a_session_that_must_be_watched_freezes_at_once_without_control",
        ),
    ),
    Guard(
        promise="4: a session ends at twice its autonomy",
        file="broker/gateway/machine.py",
        text="if silent_us >= 2 * permit.autonomy_seconds * 1_000_000:",
        without="if silent_us < 0:",
        tests=(
            "tests/unit/broker/gateway/test_machine.py::test_a_silent_control_freezes_and_later_ends_a_session",
            "tests/contract/test_ssh_proxy.py::test_a_session_freezes_and_then_ends_when_control_stays_away",
        ),
    ),
    Guard(
        promise="4: a session freezes at the autonomy limit",
        file="broker/gateway/machine.py",
        text="            if silent_us >= permit.autonomy_seconds * 1_000_000:\n                return self._freeze(Cause.CONTROL, told.CONTROL_AWAY, now)\n",
        without="",
        tests=("tests/unit/broker/gateway/test_machine.py::test_a_silent_control_freezes_and_later_ends_a_session",),
    ),
    Guard(
        promise="4: what a gateway tells counts once",
        file="broker/sessions/store.py",
        text="    if seq < expected:\n        return None\n",
        without="",
        tests=(f"{_SESSIONS}/test_reports.py::test_a_blocked_command_is_in_the_trail_and_counted_once",),
    ),
    Guard(
        promise="4: a gap in a gateway's numbers alarms",
        file="broker/sessions/reports.py",
        text="        if expected is not None and seq > expected:",
        without="        if expected is None:",
        tests=(f"{_SESSIONS}/test_reports.py::test_a_missing_number_is_told",),
    ),
    Guard(
        promise="4: what a gateway could not tell is kept for the next start",
        file="broker/gateway/spool.py",
        text='        self._write({"entry": added.entry.to_json()})\n',
        without="",
        tests=(
            "tests/unit/broker/gateway/test_spool.py::test_messages_survive_a_restart_in_order_and_done_ones_do_not",
        ),
    ),
    Guard(
        promise="4: nobody but root cuts on the host",
        file="spa_knock/link/answering.py",
        text="peer != self._uid",
        without="peer < 0",
        tests=("tests/unit/broker/gateway/test_local_cut.py::test_another_user_is_not_served",),
    ),
    # 5. Revocation against admission
    Guard(
        promise="5: no credential leaves after a revocation that came between",
        file="broker/sessions/service.py",
        text="            if now >= row.not_after or not self._facts.still_holds(\n                unit.session, row.grant_id, row.device_id, row.person_id\n            ):",
        without="            if now >= row.not_after:",
        tests=(
            f"{_SESSIONS}/test_service.py::test_no_credential_leaves_after_a_revocation_that_came_between",
            f"{_SESSIONS}/test_service.py::test_no_credential_leaves_for_a_suspended_device_or_after_the_permit",
        ),
    ),
    Guard(
        promise="5: a revoked grant admits nobody",
        file=_JUDGE,
        text='            yield _Objection("base.grant", "policy.grant_revoked", "The grant was revoked.")\n',
        without="            pass\n",
        tests=("tests/unit/broker/policy/test_judge.py::test_one_thing_that_is_not_as_it_should_be_is_enough_to_deny",),
    ),
    Guard(
        promise="5: an order to end reaches the gateway that has the session",
        file="broker/sessions/orders.py",
        text="        order = store.end_order(row, now)\n        unit.after_commit(lambda: self._send(order))\n",
        without="",
        tests=(
            "tests/contract/test_admission_race.py::test_no_session_survives_its_grant",
            f"{_SESSIONS}/test_service.py::test_an_order_to_end_is_committed_and_then_sent",
        ),
    ),
    # 6. The gateway is killed
    Guard(
        promise="6: a byte whose record fails is not sent",
        file="broker/gateway/driver.py",
        text="self._waiting.clear()  # the recorder failed: what stands behind an unwritten record is void",
        without="self._waiting.popleft()\n                    continue",
        tests=("tests/unit/broker/gateway/test_driver.py::test_a_byte_whose_record_fails_is_not_sent",),
    ),
    Guard(
        promise="6: what a dead gateway left open is marked at the next start",
        file="broker/gateway/gateway.py",
        text='            authority.ended(lost.session_id, "gateway_crashed", lost.recording, None)\n',
        without="            pass\n",
        tests=(
            "tests/contract/test_ssh_proxy.py::test_stopping_the_gateway_seals_and_a_crash_is_marked_at_the_next_start",
        ),
    ),
    # 7. A target's address or key changes
    Guard(
        promise="7: a credential opens only for the address it is bound to",
        file="broker/vault/service.py",
        text='            "address": target.address,\n',
        without="",
        tests=(
            "tests/unit/broker/vault/test_service.py::test_a_moved_or_repinned_target_gets_no_secret_until_it_is_stored_again",
        ),
    ),
    Guard(
        promise="7: a credential opens only for the host key it is bound to",
        file="broker/vault/service.py",
        text='            "host_key": target.host_key,\n',
        without="",
        tests=(
            "tests/unit/broker/vault/test_service.py::test_a_moved_or_repinned_target_gets_no_secret_until_it_is_stored_again",
        ),
    ),
    # 8. Invites and certificates
    Guard(
        promise="8: an invite works once",
        file="broker/devices/enrolment.py",
        text="            if not store.burn(unit.session, invite.id, now):",
        without="            if store.burn(unit.session, invite.id, now) is None:",
        tests=(
            "tests/unit/broker/devices/test_enrolment.py::test_an_invite_works_once_even_when_used_by_several_at_once",
        ),
    ),
    Guard(
        promise="8: the vendor face gives no session tickets",
        file="broker/gateway/vendor_front.py",
        text="num_tickets = 0",
        without="num_tickets = 2",
        tests=("tests/unit/broker/gateway/test_vendor_front.py::test_there_are_no_session_tickets",),
    ),
    Guard(
        promise="8: the TLS client key is the one that the knock named",
        file="broker/gateway/vendor_front.py",
        text="if not certificate or key_hash(certificate) != expectation.bind:",
        without="if not certificate:",
        tests=("tests/unit/broker/gateway/test_vendor_front.py::test_another_key_than_the_knocks_reaches_nothing",),
    ),
    # 9. The database is rewritten
    Guard(
        promise="9: a rewritten trail differs from its witness",
        file="broker/audit/checkpoint.py",
        text="witnessed.seq == seq and witnessed.head == head",
        without="witnessed.seq == seq",
        tests=(
            "tests/unit/broker/audit/test_checkpoint.py::test_a_trail_rewritten_in_itself_differs_at_the_first_witness_of_the_change",
            "tests/unit/broker/app/test_verification.py::test_a_history_rewritten_as_a_whole_is_found_only_by_the_witness",
        ),
    ),
    Guard(
        promise="9: a checkpoint counts only when this site signed it",
        file="broker/audit/checkpoint.py",
        text="        public_key.verify(signature, _LABEL + found.canonical())\n",
        without="",
        tests=("tests/unit/broker/audit/test_checkpoint.py::test_another_key_or_another_site_is_not_this_sites",),
    ),
    # 10. User ids among themselves
    Guard(
        promise="10: the opener's sockets serve their own user id only",
        file="spa_knock/opener/server.py",
        text="        if uid != self._uids.of(peer):",
        without="        if uid < 0:",
        tests=("tests/unit/spa_knock/opener/test_server.py::test_another_user_id_is_sent_away_unheard",),
    ),
    Guard(
        promise="10: no peer has another's verbs",
        file="spa_knock/opener/verbs.py",
        text="    if owner is not peer:",
        without="    if owner is None:",
        tests=(
            "tests/unit/spa_knock/opener/test_verbs.py::test_a_verb_is_its_owners_alone",
            "tests/contract/test_opener_kernel.py::test_no_peer_has_anothers_verbs",
        ),
    ),
    Guard(
        promise="10: control's authority hears the gateway's user id only",
        file="broker/sessions/authority.py",
        text="        if uid != self._peer_uid:",
        without="        if uid < 0:",
        tests=(f"{_SESSIONS}/test_authority.py::test_another_user_id_is_not_heard",),
    ),
    Guard(
        promise="10: the gateway hears of knocks from the guard only",
        file="spa_knock/link/answering.py",
        text="peer != self._uid",
        without="peer < 0",
        tests=("tests/unit/broker/gateway/test_knocks.py::test_only_the_guard_may_announce_knocks",),
    ),
    Guard(
        promise="10: the daemons' memory is closed to their own user id",
        file="spa_knock/link/process.py",
        text="((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1))",
        without="((_PR_SET_NO_NEW_PRIVS, 1),)",
        tests=(
            "tests/unit/spa_knock/link/test_process.py::test_a_hardened_process_is_not_dumpable_and_gains_no_privilege",
        ),
    ),
    Guard(
        promise="10: no process of ours but the gateway starts a connection, and that one to leased targets only",
        file="spa_knock/opener/ruleset.py",
        text='        f"meta skuid {ours} meta l4proto tcp {refuse} reject with tcp reset",\n'
        '        f"meta skuid {ours} {refuse} drop",\n',
        without="",
        tests=(
            "tests/unit/spa_knock/opener/test_ruleset.py::test_our_own_processes_start_no_connection_but_the_gateways_leased_ones",
            "tests/contract/test_opener_kernel.py::test_the_gateway_reaches_a_target_only_while_control_allows_it",
            "tests/contract/test_knock_kernel.py::test_a_guard_answers_no_datagram_even_if_it_wanted_to",
        ),
    ),
)
