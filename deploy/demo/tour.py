"""The tour: the steps in their order, each proving what it claims with real clients on real parts."""

from __future__ import annotations

from deploy.demo.chapters import (
    cut,
    duties,
    enclosed,
    faults,
    live,
    main_job,
    on_postgres,
    proof,
    restart,
    roles,
    shipped,
    tools,
)
from deploy.demo.stage import Stage, StepResult, run_step

STEPS = (
    ("Hidden", main_job.hidden),
    ("Enrolled", main_job.enrolled),
    ("Known", main_job.known),
    ("Granted", main_job.granted),
    ("In", main_job.entered),
    ("Watched over", main_job.watched),
    ("Seen", main_job.seen),
    ("Stock tools", tools.stock_tools),
    ("Live", live.live),
    ("Control restarts", restart.control_restarts),
    ("Watched duty", duties.must_be_watched),
    ("Left alone", duties.control_stays_away),
    ("Enclosed", enclosed.enclosed),
    ("Cut", cut.cut),
    ("Ended by itself", cut.ended_by_itself),
    ("Proven", proof.proven),
    ("Roles", roles.roles),
    ("Shipped", shipped.shipped),
    ("PostgreSQL", on_postgres.on_postgres),
    ("Faults", faults.faults),
    ("Supervisor", faults.supervisor_dies),
    ("Missing report", faults.report_is_missing),
)


def run_tour(stage: Stage) -> list[StepResult]:
    """Walk the steps in order; the first that fails ends the tour."""
    results = []
    for number, (name, step) in enumerate(STEPS, start=1):
        purpose = (step.__doc__ or "").strip()
        results.append(run_step(stage, number, name, step, purpose))
        if not results[-1].passed:
            break
    return results
