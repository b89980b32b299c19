"""Giving out the boundary's rules and checking what a firewall has loaded, each told to the audit trail."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from broker.adapters.db.database import Database
from broker.boundary.check import check
from broker.boundary.compare import Findings
from broker.boundary.errors import not_configured
from broker.boundary.events import BoundaryRulesChecked, BoundaryRulesRendered
from broker.boundary.model import Format, ZonePlan
from broker.boundary.render import render, undo
from broker.boundary.rules import planned_chains
from broker.boundary.settings import BoundarySettings
from broker.targets.model import Target
from broker.targets.service import TargetService

_SUBJECT: Final = "boundary"
_PAGE: Final = 200


@dataclass(frozen=True)
class RenderedRules:
    """Rules to load, the text that undoes them, and the digest by which the audit trail knows them."""

    format: Format
    text: str
    undo: str
    sha256: str


class BoundaryService:
    """The boundary of this site.

    `settings` is None while the site does not describe its firewall; every use-case then raises Conflict
    `boundary.not_configured`.
    """

    def __init__(self, database: Database, targets: TargetService, settings: BoundarySettings | None) -> None:
        self._database = database
        self._targets = targets
        self._settings = settings

    def plan(self) -> ZonePlan:
        """The plan as the registry stands now.

        Raises Conflict `boundary.not_configured`, `boundary.zone_not_described` and Invalid `boundary.unfit_plan`.
        """
        if self._settings is None:
            raise not_configured()
        return self._settings.plan(self._targets_in_use())

    def render(self, actor: str, rules_format: Format) -> RenderedRules:
        """The rules to load.

        Raises what `plan` raises.
        """
        plan = self.plan()
        text = render(plan, rules_format)
        sha256 = _sha256(text)
        with self._database.unit_of_work() as unit:
            unit.emit(
                BoundaryRulesRendered(
                    actor=actor,
                    subject=_SUBJECT,
                    format=rules_format.value,
                    sha256=sha256,
                    rules=sum(len(chain.rules) for chain in planned_chains(plan, rules_format)),
                )
            )
        return RenderedRules(rules_format, text, undo(rules_format), sha256)

    def check(self, actor: str, exported_text: str, rules_format: Format) -> Findings:
        """How what a firewall exported differs from the plan as the registry stands now.

        Raises what `plan` raises, and Invalid `boundary.unreadable_export`.
        """
        plan = self.plan()
        findings = check(plan, exported_text, rules_format)
        with self._database.unit_of_work() as unit:
            unit.emit(
                BoundaryRulesChecked(
                    actor=actor,
                    subject=_SUBJECT,
                    format=rules_format.value,
                    export_sha256=_sha256(exported_text),
                    plan_sha256=_sha256(render(plan, rules_format)),
                    findings=len(findings.items),
                )
            )
        return findings

    def _targets_in_use(self) -> Iterator[Target]:
        after: str | None = None
        while page := self._targets.targets(limit=_PAGE, after=after, only_in_use=True):
            yield from page
            after = page[-1].id


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
