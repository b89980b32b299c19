"""Starts gateways that are meant to be killed; run by its path with a JSON of paths and descriptors as its argument.

Everything is imported once; each line on standard input forks one gateway with the sockets that were passed, as a
supervisor would start it again. It says `ready PID` once its doors are open.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

from broker.gateway.gateway import Gateway, GatewayConfig
from broker.protocols.catalogue import find_protocols


def _inherited(descriptor: int) -> socket.socket:
    return socket.socket(fileno=os.dup(descriptor))


async def _live(given: dict[str, str | int]) -> None:
    folder = Path(str(given["folder"]))
    gateway = Gateway(
        GatewayConfig(
            authority_socket=folder / "authority.sock",
            vendor_socket=folder / "vendor.sock",
            recordings_dir=folder / "recordings",
            state_dir=folder / "state",
            ssh_host_key_file=folder / "host_key",
            ssh_host_certificate_file=folder / "host_key-cert.pub",
            tls_chain_file=folder / "none",
            tls_key_file=folder / "none",
            device_ca_file=folder / "none",
            evidence_key_file=folder / "evidence.pem",
            protocols={"ssh": (_inherited(int(given["ssh"])),)},
            knocks=(_inherited(int(given["knocks"])),),
            guard_uid=None,
        ),
        find_protocols(),
    )
    running = asyncio.ensure_future(gateway.run())
    await gateway.ready.wait()
    print("ready", os.getpid(), flush=True)
    await running


def main() -> None:
    given = json.loads(sys.argv[1])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    for spec in find_protocols():
        __import__(spec.listener.partition(":")[0])
    print("nursery", flush=True)
    for _ in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asyncio.run(_live(given))
            os._exit(0)


if __name__ == "__main__":
    main()
