"""The policy that a site starts with."""

from broker.policy.command_rules import linux_default
from broker.policy.model import AccessRule, Effect, PolicyRules


def standard_rules(version: str = "1") -> PolicyRules:
    """One approval by the plant, SSH shells and commands, recorded, with the built-in command rules."""
    return PolicyRules(
        version=version,
        access=(
            AccessRule(
                rule_id="access.ssh-after-approval",
                effect=Effect.ALLOW,
                protocols=frozenset({"ssh"}),
                channels=("shell", "exec"),
            ),
        ),
        commands={"ssh": linux_default(version)},
    )
