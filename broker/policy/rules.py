"""The policy that a site starts with."""

from broker.policy.command_rules import linux_default
from broker.policy.file_rules import FILE_DOWNLOAD, FILE_UPLOAD
from broker.policy.model import AccessRule, Effect, PolicyRules


def standard_rules(version: str = "1", *, must_be_watched: bool = False, hold_when_full: bool = False) -> PolicyRules:
    """One approval by the plant; SSH shells, commands and files both ways, recorded, with the built-in rules.

    `must_be_watched`: every session's input is held unless somebody at the plant watches. `hold_when_full`: a session
    that cannot be recorded for want of room waits instead of ending.
    """
    return PolicyRules(
        version=version,
        access=(
            AccessRule(
                rule_id="access.ssh-after-approval",
                effect=Effect.ALLOW,
                protocols=frozenset({"ssh"}),
                channels=("shell", "exec", FILE_UPLOAD, FILE_DOWNLOAD),
                must_be_watched=must_be_watched,
                hold_when_full=hold_when_full,
            ),
        ),
        commands={"ssh": linux_default(version)},
    )
