"""Where the client keeps its things. Standard library only and light: the ssh helper imports it."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from spa_knock.client.system import has_owners

CONTROL_SOCKET = "control.sock"
AGENT_SOCKET = "agent.sock"


def default_home(environ: Mapping[str, str]) -> Path:
    """The home of a person with one site: `$XDG_CONFIG_HOME/sallyport`, else `~/.config/sallyport`.

    Where files have no owners (Windows) it lies in the person's own profile: `%LOCALAPPDATA%/sallyport`.
    """
    profile = environ.get("LOCALAPPDATA", "")
    if profile and not has_owners():
        return Path(profile) / "sallyport"
    base = environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".config") / "sallyport"


def home_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The client home: `$SALLY_HOME`, else the default. One home is one device at one site."""
    chosen = environ.get("SALLY_HOME", "")
    return Path(chosen).absolute() if chosen else default_home(environ)


def run_dir(home: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the agent's sockets.

    `$XDG_RUNTIME_DIR/sallyport` for the default home and a folder named after the home for any other, so that two homes
    never share an agent; `<home>/run` where there is no runtime folder.
    """
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if not runtime.startswith("/"):
        return home / "run"
    if home == default_home(environ):
        return Path(runtime) / "sallyport"
    return Path(runtime) / f"sallyport-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"


def control_socket(environ: Mapping[str, str] = os.environ) -> Path:
    return run_dir(home_dir(environ), environ) / CONTROL_SOCKET
