"""`sallyport`: the plant's command line. What starts processes runs before anything but the standard library loads."""

import os
import sys
from pathlib import Path
from typing import Final

from broker.app import alive, supervisor
from broker.app.layout import Layout
from broker.app.plans import StartError, plans
from broker.app.settings import Settings, SettingsError, load

DEFAULT_CONFIG: Final = Path("/etc/sallyport/sallyport.toml")
_PARTS: Final = ("opener", "control", "gateway", "guard", "archive")
_EARLY: Final = {
    "up": ("", "Run the site under one supervisor. Needs root."),
    "rules": (
        "[final|confirm] ",
        "Load the base firewall rules: everything closed. From a terminal or over SSH they are loaded on trial, and "
        "taken back after two minutes unless 'sallyport rules confirm' follows; 'final' keeps them. Needs root.",
    ),
    "serve": (f"{'|'.join(_PARTS)} ", "Bind one process's sockets and become it, under its own user id. Needs root."),
    "alive": ("[guard|gateway] ", "Ask the console whether it, or the part that is named, is ready."),
}


def main() -> None:
    """Entry point of the `sallyport` command."""
    if len(sys.argv) > 1 and sys.argv[1] in _EARLY:
        sys.exit(_early(sys.argv[1], sys.argv[2:]))
    from broker.app.commands import run

    run()


def _early(name: str, arguments: list[str]) -> int:
    parts, purpose = _EARLY[name]
    usage = f"sallyport {name} {parts}[--config FILE]"
    if arguments in (["--help"], ["-h"]):
        print(f"Usage: {usage}\n\n{purpose} FILE is {DEFAULT_CONFIG} unless given.")
        return 0
    path = DEFAULT_CONFIG
    match arguments:
        case [*words, "--config", given]:
            path = Path(given)
        case words:
            pass
    if words not in _accepted(name):
        print(f"sallyport {name}: usage: {usage}", file=sys.stderr)
        return 2
    try:
        return _run(name, words, load(path), path)
    except (SettingsError, StartError, alive.NotAlive) as error:
        print(f"sallyport {name}: {error}", file=sys.stderr)
    except OSError as error:
        print(f"sallyport {name}: {error.filename or ''} {error.strerror}", file=sys.stderr)
    return 1


def _accepted(name: str) -> list[list[str]]:
    match name:
        case "serve":
            return [[part] for part in _PARTS]
        case "alive":
            return [[], ["guard"], ["gateway"]]
        case "rules":
            return [[], ["final"], ["confirm"]]
        case _:
            return [[]]


def _rules(layout: Layout, settings: Settings, words: list[str]) -> None:
    if words == ["confirm"]:
        supervisor.confirm_rules(layout)
        print("The rules are kept.")
    elif words == [] and (sys.stdin.isatty() or "SSH_CONNECTION" in os.environ):
        supervisor.close_everything(settings, layout, "--on-trial")
        print("Loaded on trial: open a second session to see that you still get in, then run: sallyport rules confirm")
        print("Without it the rules from before come back in two minutes.")
    else:
        supervisor.close_everything(settings, layout)


def _run(name: str, words: list[str], settings: Settings, path: Path) -> int:
    layout = Layout.of(settings)
    match name:
        case "up":
            return supervisor.up(settings, path)
        case "rules":
            _rules(layout, settings, words)
        case "alive":
            alive.ask(settings, layout, *words)
        case _:
            planned = [one for one in plans(settings, path.resolve(), layout) if [one.name] == words]
            if not planned:
                raise StartError("this site has no object store: set object_store.endpoint")
            supervisor.become(planned[0].bound(), {})
    return 0
