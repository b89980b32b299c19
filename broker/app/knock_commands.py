"""`sallyport knock`: what the hidden doors do, for the host's operator."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from broker.app import host_knock, settings
from broker.app.cli import DEFAULT_CONFIG
from broker.app.errors import CommandError
from broker.app.layout import Layout

app = typer.Typer(no_args_is_help=True, help="The knock: what is open, what was refused and why, the keys.")

ConfigOption = Annotated[Path, typer.Option("--config", help="The site's settings file.")]


@app.callback()
def knock() -> None:
    """The knock: what is open, what was refused and why, the keys."""


@app.command("status")
def status(
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Show the guard's state, refusals by reason and device, open windows, and what each stage has shed. Needs root."""
    read = settings.load(config)
    layout = Layout.of(read)
    if os.geteuid() != 0:
        raise CommandError("only root may ask: run it as root on the broker's host")
    found = host_knock.asked(layout.socket("knock-status"))
    if found is None:
        os.setgroups([])
        os.setresgid(read.users.control, read.users.control, read.users.control)
        os.setresuid(read.users.control, read.users.control, read.users.control)
        found = host_knock.without_control(layout.socket("opener-control"))
    print(json.dumps(found, ensure_ascii=False, indent=1) if as_json else "\n".join(host_knock.lines(found)))
