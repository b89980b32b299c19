"""What the trail tells of itself."""

from dataclasses import dataclass
from typing import ClassVar

from broker.audit.model import AuditEvent
from broker.kernel.sensitivity import Public


@dataclass(frozen=True, kw_only=True)
class TrailWritable(AuditEvent):
    """The trail can be written again; meanwhile nothing could be told, and no session began. Subject: `site`."""

    code: ClassVar[str] = "audit.trail.writable"
    failing_since_ms: Public[int]
    failures: Public[int]
