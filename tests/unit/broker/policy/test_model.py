import pytest

from broker.policy.command_rules import CommandRules
from broker.policy.model import AccessRule, Effect, PolicyRules


def _rule(**changes: object) -> AccessRule:
    fields: dict[str, object] = {"rule_id": "r", "effect": Effect.ALLOW, "protocols": frozenset({"ssh"})}
    return AccessRule(**(fields | changes))  # type: ignore[arg-type]


def test_the_first_access_rule_that_fits_decides() -> None:
    rules = PolicyRules(
        version="1",
        access=(
            _rule(rule_id="no", effect=Effect.DENY, targets=frozenset({"tgt_1"})),
            _rule(rule_id="zone", zones=frozenset({"zon_1"})),
        ),
        commands={"ssh": CommandRules("1")},
    )
    assert rules.rule_for(protocol="ssh", zone_id="zon_1", target_id="tgt_1") is rules.access[0]
    assert rules.rule_for(protocol="ssh", zone_id="zon_1", target_id="tgt_2") is rules.access[1]
    assert rules.rule_for(protocol="ssh", zone_id="zon_2", target_id="tgt_2") is None


def test_a_policy_without_command_rules_for_a_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="no command rules for ssh"):
        PolicyRules(version="1", access=(_rule(),), commands={})


def test_command_rules_of_another_version_are_refused() -> None:
    with pytest.raises(ValueError, match="another version"):
        PolicyRules(version="2", access=(_rule(),), commands={"ssh": CommandRules("1")})


def test_a_rule_without_any_approval_is_refused() -> None:
    with pytest.raises(ValueError, match="approval"):
        _rule(approvals=0)
