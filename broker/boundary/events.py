"""What was done with the boundary's rules."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public


@dataclass(frozen=True, kw_only=True)
class BoundaryRulesRendered(AuditEvent):
    """Somebody was given rules to load on the boundary firewall. Subject: the boundary."""

    code: ClassVar[str] = "boundary.rules.rendered"
    format: Public[str]
    sha256: Public[str]
    rules: Public[int]


@dataclass(frozen=True, kw_only=True)
class BoundaryRulesChecked(AuditEvent):
    """What a firewall has loaded was compared with the plan. Subject: the boundary."""

    code: ClassVar[str] = "boundary.rules.checked"
    format: Public[str]
    export_sha256: Public[str]
    plan_sha256: Public[str]
    findings: Public[int]
