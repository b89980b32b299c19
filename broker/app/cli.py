"""`sallyport`: the plant's command line. `up` is served before anything but the standard library is imported."""

import sys
from pathlib import Path
from typing import Final

from broker.app import supervisor
from broker.app.settings import SettingsError, load

DEFAULT_CONFIG: Final = Path("/etc/sallyport/sallyport.toml")


def main() -> None:
    """Entry point of the `sallyport` command."""
    if sys.argv[1:2] == ["up"]:
        sys.exit(_up(sys.argv[2:]))
    from broker.app.commands import run

    run()


def _up(arguments: list[str]) -> int:
    if arguments in (["--help"], ["-h"]):
        print(
            f"Usage: sallyport up [--config FILE]\n\nRun the site. FILE is {DEFAULT_CONFIG} unless given. Needs root."
        )
        return 0
    path = DEFAULT_CONFIG
    match arguments:
        case []:
            pass
        case ["--config", given]:
            path = Path(given)
        case _:
            print("sallyport up: usage: sallyport up [--config FILE]", file=sys.stderr)
            return 2
    try:
        return supervisor.up(load(path), path)
    except (SettingsError, supervisor.StartError) as error:
        print(f"sallyport up: {error}", file=sys.stderr)
        return 1
