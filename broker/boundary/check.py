"""One call from an export to findings."""

from broker.boundary.compare import Findings, compare
from broker.boundary.model import Format, ZonePlan
from broker.boundary.parse import parse


def check(plan: ZonePlan, exported_text: str, rules_format: Format) -> Findings:
    """How what a firewall has loaded differs from the plan: pure.

    Raises Invalid `boundary.unreadable_export`.
    """
    return compare(plan, parse(exported_text, rules_format), rules_format)
