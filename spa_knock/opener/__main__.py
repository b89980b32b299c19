"""The opener's command line: `serve` (daemon), `ruleset` (print the base rules), `load` and `confirm` (nft; root)."""

import argparse
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from spa_knock.link.confine import Confinement, Rule, confine, keep_only
from spa_knock.link.process import ProcessError, harden, listen_sockets, notify_ready
from spa_knock.opener.config import Config, Peer, parse_config
from spa_knock.opener.dispatch import Dispatcher
from spa_knock.opener.errors import ConfigError, KernelError
from spa_knock.opener.firewall import Firewall
from spa_knock.opener.loading import confirm, load, load_on_trial, require_kept
from spa_knock.opener.netlink import NETLINK_NETFILTER, NETLINK_SOCK_DIAG, Netlink
from spa_knock.opener.ruleset import render
from spa_knock.opener.server import Server

_CAP_NET_ADMIN = 12
_FIONBIO = 0x5421
# Its sockets are all there: it opens no file, no socket, and talks to nobody who did not come to it.
_CONFINEMENT = Confinement(
    calls={"accept4"},
    rules={"sendto": Rule(argument=4, equals=0), "ioctl": Rule(argument=1, equals=_FIONBIO)},
)
_log = logging.getLogger("spa_knock.opener")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 when it did what it says."""
    parser = argparse.ArgumentParser(prog="spa_knock.opener", description=__doc__)
    parser.add_argument("command", choices=("serve", "ruleset", "load", "confirm"))
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument(
        "--installs", type=Path, help="load: the file that the configuration replaces when it is loaded"
    )
    parser.add_argument("--on-trial", action="store_true", help="load: take it back after 120 s unless it is confirmed")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="opener %(levelname)s %(message)s")
    harden()
    if options.command == "confirm":
        return 0 if confirm(options.config.parent) else 1
    try:
        config = parse_config(options.config.read_text())
        match options.command:
            case "ruleset":
                sys.stdout.write(render(config))
            case "load":
                _load(config, options)
            case _:
                _serve(config)
    except (ConfigError, KernelError, ProcessError, OSError, subprocess.SubprocessError) as error:
        _log.error("%s", error)
        return 1
    return 0


def _load(config: Config, options: argparse.Namespace) -> None:
    """Load the rules; with `--installs` make this configuration the one that the opener starts with."""
    require_kept(config)
    installed: Path | None = options.installs
    if options.on_trial:
        load_on_trial(config, options.config.parent, installed)
    else:
        load(config)
        confirm(options.config.parent)
    if installed is not None:
        if installed.exists():
            installed.replace(installed.with_suffix(".before"))
        options.config.replace(installed)


def _serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. What was opened ends by its kernel timeout, not by the opener's."""
    keep_only((_CAP_NET_ADMIN,))
    listeners = _listeners(listen_sockets())
    firewall = Firewall(config.table, Netlink(NETLINK_NETFILTER), Netlink(NETLINK_SOCK_DIAG))
    firewall.require_loaded()
    dispatcher = Dispatcher(config, firewall, lambda: time.clock_gettime(time.CLOCK_BOOTTIME))
    dispatcher.watch()
    server = Server(listeners, config.uids, dispatcher.answer)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    # First, because it takes a socket of its own; whoever comes meanwhile waits in the listeners' queue.
    notify_ready()
    if not confine(_CONFINEMENT):
        _log.warning("no system-call filter is known for this kind of machine: only the service manager's holds")
    _log.info("serving doors %s", dict(config.doors))
    while not stopping:
        # A signal between the check and the wait is seen at the latest one second later.
        server.serve_once(timeout_seconds=1.0)
        dispatcher.watch()
    server.close()


def _listeners(passed: dict[str, list[socket.socket]]) -> dict[Peer, socket.socket]:
    listeners: dict[Peer, socket.socket] = {}
    for peer in Peer:
        sockets = passed.pop(peer.value, [])
        if len(sockets) != 1:
            raise ProcessError(f"{len(sockets)} sockets named {peer.value} were passed; one is needed")
        listeners[peer] = sockets[0]
    if passed:
        raise ProcessError(f"sockets with unknown names were passed: {sorted(passed)}")
    return listeners


if __name__ == "__main__":
    sys.exit(main())
