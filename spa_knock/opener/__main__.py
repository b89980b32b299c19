"""The opener's command line: `serve` (daemon), `ruleset` (print the base rules), `load` (feed them to nft; root)."""

import argparse
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from spa_knock.link.process import ProcessError, harden, listen_sockets, notify_ready
from spa_knock.opener.config import Config, Peer, parse_config
from spa_knock.opener.dispatch import Dispatcher
from spa_knock.opener.errors import ConfigError, KernelError
from spa_knock.opener.firewall import Firewall
from spa_knock.opener.netlink import NETLINK_NETFILTER, NETLINK_SOCK_DIAG, Netlink
from spa_knock.opener.ruleset import render
from spa_knock.opener.server import Server

_NFT_SECONDS = 30
_log = logging.getLogger("spa_knock.opener")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 when it did what it says."""
    parser = argparse.ArgumentParser(prog="spa_knock.opener", description=__doc__)
    parser.add_argument("command", choices=("serve", "ruleset", "load"))
    parser.add_argument("--config", type=Path, required=True)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="opener %(levelname)s %(message)s")
    harden()
    try:
        config = parse_config(options.config.read_text())
        match options.command:
            case "ruleset":
                sys.stdout.write(render(config))
            case "load":
                _load(config)
            case _:
                _serve(config)
    except (ConfigError, KernelError, ProcessError, OSError, subprocess.SubprocessError) as error:
        _log.error("%s", error)
        return 1
    return 0


def _load(config: Config) -> None:
    """Check the rule set, then put it into the kernel in one transaction."""
    rules = render(config)
    for extra in (["--check"], []):
        finished = subprocess.run(
            ["nft", *extra, "--file", "-"],
            input=rules,
            text=True,
            capture_output=True,
            check=False,
            timeout=_NFT_SECONDS,
        )
        if finished.returncode != 0:
            raise ConfigError(f"nft refused the rule set: {finished.stderr.strip()}")


def _serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. What was opened ends by its kernel timeout, not by the opener's."""
    listeners = _listeners(listen_sockets())
    firewall = Firewall(config.table, Netlink(NETLINK_NETFILTER), Netlink(NETLINK_SOCK_DIAG))
    firewall.require_loaded()
    dispatcher = Dispatcher(config, firewall, lambda: time.clock_gettime(time.CLOCK_BOOTTIME))
    server = Server(listeners, config.uids, dispatcher.answer)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    notify_ready()
    _log.info("serving doors %s", dict(config.doors))
    while not stopping:
        # A signal between the check and the wait is seen at the latest one second later.
        server.serve_once(timeout_seconds=1.0)
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
