// Written by ./dev catalogue from the event classes; do not edit.
export const AUDIT_EVENTS = {
  "access.request.approved": {
    "person_id": "public",
    "device_id": "public",
    "target_id": "public",
    "account": "public",
    "not_before_ms": "public",
    "not_after_ms": "public",
    "approvals": "public"
  },
  "access.request.denied": {
    "person_id": "public",
    "reason": "sensitive"
  },
  "access.request.endorsed": {
    "person_id": "public",
    "missing": "public",
    "duration_seconds": "public"
  },
  "access.request.lapsed": {
    "person_id": "public"
  },
  "access.request.submitted": {
    "device_id": "public",
    "target_id": "public",
    "account": "public",
    "source": "sensitive",
    "work_order": "public",
    "reason": "sensitive",
    "starts_at_ms": "public",
    "duration_seconds": "public"
  },
  "access.request.withdrawn": {},
  "audit.trail.writable": {
    "failing_since_ms": "public",
    "failures": "public"
  },
  "boundary.rules.checked": {
    "format": "public",
    "export_sha256": "public",
    "plan_sha256": "public",
    "findings": "public"
  },
  "boundary.rules.rendered": {
    "format": "public",
    "sha256": "public",
    "rules": "public"
  },
  "devices.device.enrolled": {
    "person_id": "public",
    "invite_id": "public",
    "name": "public",
    "key_storage": "public",
    "certificate_sha256": "public",
    "short_code": "public",
    "source": "sensitive"
  },
  "devices.device.policy_changed": {
    "person_id": "public",
    "allow_header_address": "public",
    "loose_clock": "public"
  },
  "devices.device.renewed": {
    "person_id": "public",
    "certificate_sha256": "public"
  },
  "devices.device.renewing": {
    "person_id": "public",
    "certificate_sha256": "public",
    "source": "sensitive"
  },
  "devices.device.resumed": {
    "person_id": "public",
    "mark": "public"
  },
  "devices.device.retired": {
    "person_id": "public",
    "mark": "public"
  },
  "devices.device.suspended": {
    "person_id": "public",
    "mark": "public"
  },
  "devices.device.trusted": {
    "person_id": "public",
    "invited_by": "public"
  },
  "devices.invite.burnt": {
    "person_id": "public",
    "source": "sensitive"
  },
  "devices.invite.created": {
    "person_id": "public",
    "certificate_sha256": "public"
  },
  "devices.site_key.rotated": {
    "overlap_until": "public"
  },
  "gateway.connection.refused": {
    "reason": "public",
    "door": "public",
    "source": "sensitive",
    "at_ms": "public"
  },
  "gateway.entry.refused": {
    "boot_id": "public",
    "seq": "public",
    "reason": "public"
  },
  "gateway.event.reported": {
    "event": "public",
    "details": "sensitive",
    "at_ms": "public"
  },
  "gateway.report.gap": {
    "boot_id": "public",
    "expected_seq": "public",
    "got_seq": "public"
  },
  "gateway.sequence.cut": {
    "boot_id": "public",
    "known_boot_id": "public",
    "known_seq": "public"
  },
  "gateway.worker.started": {
    "boot_id": "public",
    "key": "public",
    "previous_boot_id": "public",
    "previous_seq": "public"
  },
  "grants.certificate.issued": {
    "serial": "public",
    "device_id": "public",
    "key_sha256": "public",
    "source": "sensitive",
    "valid_before_ms": "public"
  },
  "grants.grant.expired": {
    "person_id": "public",
    "device_id": "public"
  },
  "grants.grant.finished": {
    "device_id": "public"
  },
  "grants.grant.issued": {
    "request_id": "public",
    "person_id": "public",
    "device_id": "public",
    "target_id": "public",
    "account": "public",
    "not_before_ms": "public",
    "not_after_ms": "public"
  },
  "grants.grant.revoked": {
    "person_id": "public",
    "device_id": "public",
    "reason": "sensitive"
  },
  "identities.administrator.bootstrapped": {
    "username": "public",
    "role": "public"
  },
  "identities.administrator.recovered": {
    "username": "public",
    "role": "public",
    "reason": "sensitive"
  },
  "identities.language.chosen": {
    "language": "public"
  },
  "identities.person.activated": {
    "face": "public",
    "waits": "public",
    "device_id": "public",
    "source": "sensitive"
  },
  "identities.person.confirmation_refused": {
    "username": "public"
  },
  "identities.person.confirmed": {
    "username": "public",
    "role": "public",
    "entered_by": "public"
  },
  "identities.person.created": {
    "username": "public",
    "role": "public",
    "company": "public"
  },
  "identities.person.reset": {
    "username": "public",
    "role": "public",
    "state_before": "public"
  },
  "identities.person.suspended": {
    "username": "public"
  },
  "identities.second_factor.offered": {
    "source": "sensitive"
  },
  "identities.sign_in.ended": {
    "face": "public"
  },
  "identities.sign_in.moved": {
    "device_id": "public",
    "source_before": "sensitive",
    "source": "sensitive"
  },
  "identities.sign_in.refused": {
    "face": "public",
    "reason": "sensitive",
    "device_id": "public",
    "source": "sensitive",
    "failed_attempts": "public"
  },
  "identities.sign_in.succeeded": {
    "face": "public",
    "device_id": "public",
    "source": "sensitive"
  },
  "knock.accepted": {
    "knock_id": "public",
    "door": "public",
    "grant_id": "public",
    "address": "sensitive",
    "window_seconds": "public",
    "signed_knock_sha256": "public"
  },
  "knock.guard.armed": {},
  "knock.guard.degraded": {
    "faults": "public"
  },
  "knock.source.shared": {
    "address": "sensitive",
    "devices": "public",
    "strangers": "public"
  },
  "knock.unproved": {
    "knock_id": "public",
    "door": "public",
    "address": "sensitive",
    "reason": "public"
  },
  "receipts.receipt.missing": {
    "device_id": "public",
    "recording_id": "public"
  },
  "receipts.receipt.not_taken": {
    "device_id": "public",
    "problem": "public",
    "field": "public"
  },
  "receipts.receipt.received": {
    "device_id": "public",
    "recording_id": "public",
    "receipt_sha256": "public",
    "end": "public",
    "heads_seen": "public",
    "is_late": "public"
  },
  "receipts.receipt.refused": {
    "device_id": "public",
    "recording_id": "public",
    "receipt_sha256": "public",
    "refusal": "public",
    "heads_seen": "public",
    "is_late": "public"
  },
  "recordings.copy.failed": {
    "session_id": "public",
    "reason": "public",
    "attempt": "public"
  },
  "recordings.copy.held": {
    "session_id": "public",
    "version": "public",
    "is_held": "public"
  },
  "recordings.copy.release_refused": {
    "session_id": "public",
    "reason": "public"
  },
  "recordings.copy.released": {
    "session_id": "public",
    "version": "public",
    "was_there": "public"
  },
  "recordings.copy.removed": {
    "purge_id": "public",
    "objects": "public"
  },
  "recordings.copy.verified": {
    "session_id": "public",
    "bucket": "public",
    "version": "public",
    "bytes": "public",
    "sha256": "public",
    "lock_mode": "public",
    "locked_until_ms": "public",
    "attempt": "public"
  },
  "recordings.hold.lifted": {
    "hold_id": "public",
    "session_id": "public",
    "placed_by": "public",
    "reason": "sensitive"
  },
  "recordings.hold.placed": {
    "hold_id": "public",
    "session_id": "public",
    "reason": "sensitive"
  },
  "recordings.purge.asked": {
    "recordings": "public",
    "bytes": "public",
    "list_sha256": "public",
    "expires_at_ms": "public",
    "reason": "sensitive"
  },
  "recordings.purge.confirmed": {
    "asked_by": "public",
    "recordings": "public",
    "bytes": "public",
    "list_sha256": "public"
  },
  "recordings.purge.declined": {
    "asked_by": "public",
    "reason": "sensitive"
  },
  "recordings.purge.lapsed": {
    "asked_by": "public"
  },
  "recordings.purge.withdrawn": {
    "asked_by": "public"
  },
  "recordings.recording.anchor_refused": {
    "session_id": "public",
    "batches": "public"
  },
  "recordings.recording.anchored": {
    "session_id": "public",
    "batches": "public",
    "frames": "public",
    "bytes": "public",
    "at_us": "public",
    "chain_sha256": "public",
    "signature": "public"
  },
  "recordings.recording.broken": {
    "session_id": "public",
    "signing_key": "public",
    "head_sha256": "public",
    "frames": "public",
    "batches": "public",
    "bytes_written": "public"
  },
  "recordings.recording.nearly_spent": {
    "session_id": "public",
    "bytes": "public",
    "most_bytes": "public",
    "at_ms": "public"
  },
  "recordings.recording.opened": {
    "session_id": "public",
    "signing_key": "public",
    "header_sha256": "public"
  },
  "recordings.recording.purged": {
    "site": "public",
    "session_id": "public",
    "grant_id": "public",
    "state": "public",
    "opened_at_ms": "public",
    "closed_at_ms": "public",
    "frames": "public",
    "batches": "public",
    "bytes": "public",
    "signing_key": "public",
    "header_sha256": "public",
    "head_sha256": "public",
    "head_signature": "public",
    "purge_id": "public",
    "asked_by": "public",
    "reason": "sensitive",
    "purged_at_ms": "public",
    "signature": "public"
  },
  "recordings.recording.removal_refused": {
    "purge_id": "public",
    "reason": "public"
  },
  "recordings.recording.removed": {
    "purge_id": "public",
    "was_there": "public"
  },
  "recordings.recording.replayed": {
    "session_id": "public",
    "what": "public"
  },
  "recordings.recording.resumed": {
    "session_id": "public",
    "held_ms": "public",
    "at_ms": "public"
  },
  "recordings.recording.sealed": {
    "session_id": "public",
    "signing_key": "public",
    "head_sha256": "public",
    "head_signature": "public",
    "frames": "public",
    "batches": "public",
    "bytes_written": "public"
  },
  "recordings.recording.stalled": {
    "session_id": "public",
    "error": "public",
    "at_ms": "public"
  },
  "recordings.recording.unmask_asked": {
    "session_id": "public",
    "part": "public"
  },
  "recordings.recording.unmask_refused": {
    "session_id": "public"
  },
  "recordings.recording.unmasked": {
    "session_id": "public",
    "with_auditor": "public",
    "pieces": "public"
  },
  "recordings.storage.forecast": {
    "level": "public",
    "before": "public",
    "bytes_per_day": "public",
    "usable_bytes": "public",
    "full_at_ms": "public",
    "days_held": "public",
    "keep_days": "public"
  },
  "recordings.storage.level": {
    "level": "public",
    "before": "public",
    "free_bytes": "public",
    "at_ms": "public"
  },
  "recordings.store.state": {
    "state": "public",
    "before": "public"
  },
  "sessions.command.blocked": {
    "rule_id": "public",
    "command": "sensitive",
    "at_ms": "public"
  },
  "sessions.file.transferred": {
    "direction": "public",
    "path": "sensitive",
    "bytes": "public",
    "sha256": "public",
    "complete": "public",
    "sequential": "public",
    "at_ms": "public"
  },
  "sessions.session.admitted": {
    "grant_id": "public",
    "person_id": "public",
    "device_id": "public",
    "source": "sensitive",
    "target_id": "public",
    "account": "public",
    "protocol": "public",
    "permit_id": "public",
    "recording_id": "public",
    "knock_id": "public",
    "certificate_serial": "public",
    "rule_id": "public",
    "policy_version": "public",
    "not_after_ms": "public"
  },
  "sessions.session.cut_on_host": {
    "reason": "public",
    "operator": "public",
    "at_ms": "public"
  },
  "sessions.session.end_ordered": {
    "reason": "public",
    "order": "public"
  },
  "sessions.session.ended": {
    "grant_id": "public",
    "device_id": "public",
    "reason": "public",
    "ended_at_ms": "public",
    "exit_status": "public",
    "commands_blocked": "public"
  },
  "sessions.session.frozen": {
    "reason": "public"
  },
  "sessions.session.messaged": {
    "text": "sensitive"
  },
  "sessions.session.refused": {
    "device_id": "public",
    "grant_id": "public",
    "source": "sensitive",
    "protocol": "public",
    "knock_id": "public",
    "refusal": "public",
    "rule_id": "public",
    "policy_version": "public"
  },
  "sessions.session.started": {
    "recording_id": "public",
    "lease_id": "public"
  },
  "sessions.session.thawed": {
    "reason": "public"
  },
  "sessions.session.unanswered": {
    "worker": "public",
    "order": "public",
    "source": "sensitive"
  },
  "sessions.session.watch_ended": {
    "watch_id": "public",
    "reason": "public",
    "last_frame": "public",
    "seconds": "public"
  },
  "sessions.session.watched": {
    "watch_id": "public",
    "recording_id": "public",
    "after_frame": "public"
  },
  "site.backup.made": {
    "recovery_key_sha256": "public"
  },
  "site.backup.restored": {
    "made_at": "public",
    "last_seq": "public"
  },
  "site.certificates.renewed": {
    "not_after": "public"
  },
  "targets.target.created": {
    "name": "public",
    "zone_id": "public",
    "address": "sensitive",
    "port": "public",
    "protocol": "public",
    "host_key_sha256": "public"
  },
  "targets.target.endpoint_changed": {
    "name": "public",
    "address_before": "sensitive",
    "address": "sensitive",
    "port_before": "public",
    "port": "public",
    "host_key_sha256_before": "public",
    "host_key_sha256": "public"
  },
  "targets.target.key_differs": {
    "probe_id": "public",
    "pinned_sha256": "public",
    "shown_sha256": "public"
  },
  "targets.target.key_matched": {
    "probe_id": "public",
    "host_key_sha256": "public"
  },
  "targets.target.probed": {
    "probe_id": "public",
    "address": "sensitive",
    "port": "public"
  },
  "targets.target.retired": {
    "name": "public",
    "address": "sensitive",
    "port": "public"
  },
  "targets.zone.created": {
    "name": "public"
  },
  "vault.credential.destroyed": {
    "target_id": "public",
    "account": "sensitive"
  },
  "vault.credential.leased": {
    "credential_id": "public",
    "session_id": "public",
    "target_id": "public",
    "account": "sensitive"
  },
  "vault.credential.put": {
    "target_id": "public",
    "account": "sensitive",
    "kind": "public",
    "replaces": "public"
  }
} as const

export type AuditCode = keyof typeof AUDIT_EVENTS
