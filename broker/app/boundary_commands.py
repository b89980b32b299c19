"""`sallyport boundary`: firewall rules from a plan file, and what an exported rule set says otherwise."""

import sys
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from broker.app.errors import CommandError
from broker.boundary.check import check
from broker.boundary.document import plan_from_document
from broker.boundary.model import Format, ZonePlan
from broker.boundary.render import render, undo
from broker.kernel.errors import SallyportError

app = typer.Typer(no_args_is_help=True, help="Rules for the firewall between the broker and the plant.")

PlanOption = Annotated[Path, typer.Option("--plan", help="The plan (TOML); docs/boundary.md says what it holds.")]
FormatOption = Annotated[Format, typer.Option("--format", help="The language of the rules.")]


@app.command("render")
def render_rules(
    plan: PlanOption,
    rules_format: FormatOption = Format.NFTABLES,
    how_to_undo: Annotated[bool, typer.Option("--undo", help="Print how to take the rules back instead.")] = False,
) -> None:
    """Print the rules to load: only the broker reaches the management ports, and the plant dials nobody."""
    read = read_plan(plan)
    print(undo(rules_format) if how_to_undo else render(read, rules_format), end="")


@app.command("check")
def check_rules(
    plan: PlanOption,
    export: Annotated[Path, typer.Option("--export", help="What the firewall exported; - reads standard input.")],
    rules_format: FormatOption = Format.NFTABLES,
) -> None:
    """Compare an exported rule set (nft -j list ruleset, iptables-save) with the plan; status 1 when they differ."""
    text = sys.stdin.read() if str(export) == "-" else export.read_text(encoding="utf-8")
    findings = check(read_plan(plan), text, rules_format)
    print(findings.in_words())
    if not findings.is_clean:
        raise typer.Exit(1)


def read_plan(path: Path) -> ZonePlan:
    """The plan in this file.

    Raises CommandError saying what cannot be used.
    """
    try:
        return plan_from_document(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise CommandError(f"{path}: cannot be read ({error.strerror})") from None
    except tomllib.TOMLDecodeError as error:
        raise CommandError(f"{path}: not valid TOML: {error}") from None
    except SallyportError as error:
        raise CommandError(f"{path}: {error.message}") from None
