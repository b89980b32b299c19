"""The judge: a pure function from facts and rules to a reasoned verdict. Whatever no rule allows is denied."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from broker.policy.model import (
    DOORS,
    AccessRule,
    Allow,
    ClientProof,
    Deny,
    Duty,
    Effect,
    Facts,
    LiveKnock,
    NeedsApproval,
    NotProven,
    Permit,
    PolicyRules,
    Standing,
    Verdict,
)

APPROVER_ROLE = "plant_admin"


@dataclass(frozen=True)
class _Objection:
    rule_id: str
    code: str
    message: str


def judge(facts: Facts, rules: PolicyRules, now: datetime) -> Verdict:
    """Decide whether this connection may become a session at this moment.

    The order of the checks is the order in which a refusal is explained; one objection is enough to deny.
    """
    match facts.knock, facts.proof:
        case (NotProven() as failed, _) | (_, NotProven() as failed):
            return Deny(rule_id="base.proof", policy_version=rules.version, code=failed.code, message=failed.message)
        case LiveKnock() as knock, ClientProof() as proof:
            objection = next(_objections(facts, knock, proof, rules, now), None)
            if objection is not None:
                return Deny(
                    rule_id=objection.rule_id,
                    policy_version=rules.version,
                    code=objection.code,
                    message=objection.message,
                )
            return _by_rule(facts, rules, now)
        case never:  # pragma: no cover - the unions above are complete
            assert_never(never)


def _objections(
    facts: Facts, knock: LiveKnock, proof: ClientProof, rules: PolicyRules, now: datetime
) -> Iterator[_Objection]:
    yield from _of_identity(facts, knock, proof)
    yield from _of_grant(facts, now)
    yield from _of_knock(facts, knock, proof, rules, now)
    yield from _of_source(facts, knock, proof)
    if not proof.valid_after <= now < proof.valid_before:
        yield _Objection("base.certificate", "policy.certificate_expired", "The certificate is not valid now.")
    if facts.asked.account != facts.grant.account:
        yield _Objection("base.account", "policy.other_account", "The grant is for another account.")
    if facts.asked.protocol != facts.grant.protocol:
        yield _Objection("base.protocol", "policy.other_protocol", "The grant is for another protocol.")


def _of_identity(facts: Facts, knock: LiveKnock, proof: ClientProof) -> Iterator[_Objection]:
    if not facts.person.is_active:
        yield _Objection("base.person", "policy.person_not_active", "The person's account is not active.")
    if facts.grant.person_id != facts.person.person_id or facts.device.person_id != facts.person.person_id:
        yield _Objection("base.person", "policy.other_person", "The grant belongs to another person.")
    if not facts.device.is_trusted:
        yield _Objection("base.device", "device_not_trusted", "The device is not trusted.")
    if {facts.asked.device_id, facts.grant.device_id, knock.device_id, proof.device_id} != {facts.device.device_id}:
        yield _Objection("base.device", "policy.other_device", "The grant belongs to another device.")
    if {facts.asked.grant_id, knock.grant_id, proof.grant_id} != {facts.grant.grant_id}:
        yield _Objection("base.grant", "policy.other_grant", "Knock, certificate and connection name different grants.")


def _of_grant(facts: Facts, now: datetime) -> Iterator[_Objection]:
    match facts.grant.standing:
        case Standing.LIVE:
            pass
        case Standing.REVOKED:
            yield _Objection("base.grant", "policy.grant_revoked", "The grant was revoked.")
        case Standing.USED:
            yield _Objection("base.grant", "policy.grant_used", "The grant was given back.")
        case Standing.EXPIRED:
            yield _Objection("base.window", "outside_window", "The grant's window is over.")
        case never:
            assert_never(never)
    if not facts.grant.not_before <= now < facts.grant.not_after:
        yield _Objection("base.window", "outside_window", "It is outside the grant's window.")


def _of_knock(
    facts: Facts, knock: LiveKnock, proof: ClientProof, rules: PolicyRules, now: datetime
) -> Iterator[_Objection]:
    if abs(now - knock.stamp_at) > rules.knock_age:
        yield _Objection("base.knock", "policy.knock_stale", "The knock is too old; connect again.")
    if knock.door != DOORS.get(facts.asked.protocol):
        yield _Objection("base.knock", "policy.other_door", "The knock was for another door.")
    if knock.bind != proof.key_sha256:
        yield _Objection("base.knock", "policy.other_key", "The knock names another key than the certificate.")


def _of_source(facts: Facts, knock: LiveKnock, proof: ClientProof) -> Iterator[_Objection]:
    source = facts.asked.source
    if knock.address is None and not facts.device.may_take_address_from_header:
        yield _Objection("base.source", "policy.source_not_named", "The knock does not name its address.")
    if proof.source != source or knock.address not in (None, source):
        yield _Objection("base.source", "policy.other_source", "The connection comes from another address.")


def _by_rule(facts: Facts, rules: PolicyRules, now: datetime) -> Verdict:
    grant = facts.grant
    rule = rules.rule_for(protocol=grant.protocol, zone_id=grant.zone_id, target_id=grant.target_id)
    if rule is None:
        return Deny(
            rule_id="base.default",
            policy_version=rules.version,
            code="policy.nothing_allows_it",
            message="No access rule allows this.",
        )
    match rule.effect:
        case Effect.DENY:
            return Deny(
                rule_id=rule.rule_id,
                policy_version=rules.version,
                code="policy.rule_denies",
                message="An access rule of the plant denies this.",
            )
        case Effect.ALLOW:
            if grant.approvals < rule.approvals:
                return NeedsApproval(rule_id=rule.rule_id, policy_version=rules.version, by=APPROVER_ROLE)
            duties = (
                Duty.RECORD,
                *((Duty.WATCHED,) if rule.must_be_watched else ()),
                *((Duty.HOLD_WHEN_FULL,) if rule.hold_when_full else ()),
            )
            return Allow(
                rule_id=rule.rule_id,
                policy_version=rules.version,
                permit=_permit(facts, rule, rules, duties, now),
                duties=duties,
            )
        case never:
            assert_never(never)


def _permit(facts: Facts, rule: AccessRule, rules: PolicyRules, duties: tuple[Duty, ...], now: datetime) -> Permit:
    grant = facts.grant
    not_after = grant.not_after if rule.max_session is None else min(grant.not_after, now + rule.max_session)
    return Permit(
        permit_id=facts.permit_id,
        grant_id=grant.grant_id,
        person_id=facts.person.person_id,
        person_name=facts.person.name,
        device_id=facts.device.device_id,
        source=facts.asked.source,
        target_id=grant.target_id,
        target_name=grant.target_name,
        account=grant.account,
        protocol=grant.protocol,
        not_before=grant.not_before,
        not_after=not_after,
        autonomy=rules.autonomy,
        idle=rules.idle,
        policy_version=rules.version,
        rules=rules.commands[grant.protocol],
        duties=duties,
        channels=rule.channels,
    )
