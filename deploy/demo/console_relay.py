"""Lets a person on the machine open the console: listens on the machine's loopback, connects from the office.

The relay makes its listening socket first, then enters the office's network namespace, then gives up root. So it can
reach nothing but what the office can, and nobody but this machine can reach it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from deploy.demo import netns
from deploy.demo.lab import BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, OFFICE, Lab, LabError
from deploy.demo.room import CHECKOUT

NOBODY = 65534
_CHUNK_BYTES = 65536
_MOST_CONNECTIONS = 200
_CONNECT_SECONDS = 5.0


def start_console_relay(lab: Lab, port: int = 0) -> int:
    """Start the relay as a process and return the loopback port on which it listens.

    Args:
        port: the wished port; 0 takes any free one.

    Raises:
        LabError: the port is taken, or the relay did not come up.
    """
    target = f"{BROKER_CONSOLE_ADDRESS}:{CONSOLE_PORT}"
    argv = ["--namespace", str(lab.namespace(OFFICE)), "--port", str(port), "--target", target]
    process = lab.adopt(
        subprocess.Popen(
            [sys.executable, "-m", "deploy.demo.console_relay", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            start_new_session=True,
        )
    )
    line = process.stdout.readline() if process.stdout else ""
    if not line.strip().isdigit():
        raise LabError(f"the console relay did not come up on port {port}")
    return int(line)


async def relay(listener: socket.socket, address: str, port: int) -> None:
    """Pass every connection on to the target until cancelled."""
    slots = asyncio.Semaphore(_MOST_CONNECTIONS)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with slots:
            try:
                far = await asyncio.wait_for(asyncio.open_connection(address, port), _CONNECT_SECONDS)
            except (OSError, TimeoutError):
                writer.transport.abort()
                return
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far[1]))
                group.create_task(_pump(far[0], writer))
            for end in (writer, far[1]):
                end.close()

    server = await asyncio.start_server(serve, sock=listener, limit=_CHUNK_BYTES)
    async with server:
        await server.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction until its end; a broken connection ends both."""
    try:
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--target", required=True)
    options = parser.parse_args()
    address, _, port = str(options.target).rpartition(":")
    listener = socket.create_server(("127.0.0.1", options.port))
    netns.enter(options.namespace)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(relay(listener, address, int(port)))


if __name__ == "__main__":
    main()
