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


def become_control(read: settings.Settings) -> None:
    """Work as the control plane's user, so that no file of the database ever belongs to root. Raises CommandError."""
    if os.geteuid() != 0:
        raise CommandError("this works on the site's own files: run it as root on the broker's host")
    os.setgroups([])
    os.setresgid(read.users.control, read.users.control, read.users.control)
    os.setresuid(read.users.control, read.users.control, read.users.control)


ConfigOption = Annotated[Path, typer.Option("--config", help="The site's settings file.")]


@app.callback()
def knock() -> None:
    """The knock: what is open, what was refused and why, the keys."""


@app.command("rotate-site-key")
def rotate_site_key(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Make a new site key; the one before stays in force until clients have keys of the new. Needs root."""
    from broker.app import wiring

    read = settings.load(config)
    become_control(read)
    with wiring.opened(read) as house:
        until = house.devices.site_keys.rotate("system:host")
    print(f"The new site key is in force; the one before opens the gate until {until:%Y-%m-%d %H:%M} UTC.")
    print("Clients get keys of the new one with their next sign-in. Nothing else is needed.")


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
        become_control(read)
        found = host_knock.without_control(layout.socket("opener-control"))
    print(json.dumps(found, ensure_ascii=False, indent=1) if as_json else "\n".join(host_knock.lines(found)))
