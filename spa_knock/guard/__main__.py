"""The guard's command line: serve, or `--init` to make the anti-replay file of a new site."""

import argparse
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from spa_knock.guard.daemon import Daemon, boot_id, wall_ms
from spa_knock.guard.errors import GuardError
from spa_knock.guard.handover import Receiver
from spa_knock.guard.stamps import StampStore
from spa_knock.link.confine import Confinement, Rule, confine, keep_only
from spa_knock.link.process import ProcessError, harden, listen_sockets, notify_ready

STAMP_FILE = "stamps"
_FIONBIO = 0x5421
# No file is opened any more, no datagram is answered, and the only new sockets are links to the other daemons.
_CONFINEMENT = Confinement(
    calls={"connect"},
    rules={
        "socket": Rule(argument=0, equals=socket.AF_UNIX),
        "sendto": Rule(argument=4, equals=0),
        "ioctl": Rule(argument=1, equals=_FIONBIO),
    },
)
_log = logging.getLogger("spa_knock.guard")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit status is 0 after a clean stop."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="guard %(levelname)s %(message)s")
    harden()
    try:
        keep_only(())
        if options.init:
            StampStore.create_for_new_site(options.state_dir / STAMP_FILE)
        else:
            _serve(options)
    except (GuardError, ProcessError, OSError) as error:
        _log.error("%s", error)
        return 1
    return 0


def _serve(options: argparse.Namespace) -> None:
    knock_sockets = listen_sockets().get("knock", [])
    if not knock_sockets:
        raise ProcessError("no socket named knock was passed")
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    path = options.state_dir / STAMP_FILE
    with StampStore(path, boot_id=boot_id(), started_ms=wall_ms()) as store:
        _log.info("history is %s", store.history.name.lower())
        daemon = Daemon(
            knock_sockets=knock_sockets,
            links={
                Receiver.OPENER: options.opener_socket,
                Receiver.CONTROL: options.control_socket,
                Receiver.GATEWAY: options.gateway_socket,
            },
            doors=options.doors,
            store=store,
        )
        if not confine(_CONFINEMENT):
            _log.warning("no system-call filter is known for this kind of machine: only the service manager's holds")
        notify_ready()
        while not stopping:
            daemon.turn()
        daemon.close()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="spa_knock.guard", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--init", action="store_true", help="make the anti-replay file of a new site, then end")
    for name in ("opener", "control", "gateway"):
        parser.add_argument(f"--{name}-socket", type=Path)
    parser.add_argument("--doors", type=_doors, default=(), help="door numbers of this site, separated by commas")
    options = parser.parse_args(arguments)
    if not options.init:
        for name in ("opener_socket", "control_socket", "gateway_socket", "doors"):
            if not getattr(options, name):
                parser.error(f"--{name.replace('_', '-')} is needed")
    return options


def _doors(text: str) -> tuple[int, ...]:
    doors = tuple(int(door) for door in text.split(","))
    if not all(1 <= door <= 0xFFFF for door in doors):
        raise ValueError("a door number is out of range")
    return doors


if __name__ == "__main__":
    sys.exit(main())
