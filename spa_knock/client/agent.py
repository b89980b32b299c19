"""The background agent: `python -m spa_knock.client.agent`. One for each client home.

Holds the API token, S and its certificates in memory, and serves two Unix sockets of the same user: `agent.sock`
(OpenSSH agent protocol) and `control.sock` (the verbs of `verbs.py`). It writes no log; it ends by itself when nobody
is signed in and no session waits for its receipt.
"""

import argparse
import contextlib
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from spa_knock.client.agent_protocol import AgentProtocolError, MessageBuffer, answer
from spa_knock.client.errors import ClientError
from spa_knock.client.home import Home, locked, private_folder
from spa_knock.client.language import speaking, tr
from spa_knock.client.places import AGENT_SOCKET, CONTROL_SOCKET, home_dir
from spa_knock.client.session import Holder
from spa_knock.client.system import LocalListener, has_unix_sockets
from spa_knock.client.verbs import Verbs
from spa_knock.link.framing import Decoder, FramingError, encode
from spa_knock.link.process import harden

_MOST_CONNECTIONS = 32
_CONTROL_SILENCE_SECONDS = 30.0
_AGENT_SILENCE_SECONDS = 120.0
_TICK_SECONDS = 1.0
UNUSED_SECONDS = 60.0
"""How long an agent stays when nobody is signed in and nothing is asked."""


class Server:
    """Both sockets, and a thread for each connection."""

    def __init__(self, home: Home, verbs: Verbs, holder: Holder, *, unused_seconds: float = UNUSED_SECONDS) -> None:
        self._home = home
        self._verbs = verbs
        self._holder = holder
        self._unused_seconds = unused_seconds
        self._busy = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._asked_at = time.monotonic()
        self._stop_reader, self._stop_writer = socket.socketpair()

    def stop(self) -> None:
        """Makes `serve` return; safe in a signal handler and from any thread."""
        with contextlib.suppress(OSError):
            self._stop_writer.send(b"\0")

    def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serves until stopped or unused. The sockets are gone when it returns."""
        private_folder(self._home.run_path)
        with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
            stack.enter_context(self._stop_reader)
            stack.enter_context(self._stop_writer)
            serves = [(CONTROL_SOCKET, self._control)]
            if has_unix_sockets():  # Stock ssh speaks with agents over nothing else that we have.
                serves.append((AGENT_SOCKET, self._agent))
            for name, handler in serves:
                listener = stack.enter_context(LocalListener(self._home.run_path / name))
                selector.register(listener.socket, selectors.EVENT_READ, (listener, handler))
            selector.register(self._stop_reader, selectors.EVENT_READ)
            ready()
            try:
                while True:
                    for key, _ in selector.select(_TICK_SECONDS):
                        if key.fileobj is self._stop_reader:
                            return
                        self._accept(*key.data)
                    self._verbs.look_around()
                    if self._is_unused():
                        return
            finally:
                self._verbs.close()

    def _is_unused(self) -> bool:
        if self._verbs.confirming.is_waiting:
            return False
        return self._holder.current() is None and time.monotonic() - self._asked_at >= self._unused_seconds

    def _accept(self, listener: LocalListener, handler: Callable[[socket.socket], None]) -> None:
        try:
            connection, _ = listener.socket.accept()
        except OSError:
            return
        if not self._busy.acquire(blocking=False):
            connection.close()
            return
        self._asked_at = time.monotonic()
        threading.Thread(target=self._attend, args=(listener, connection, handler), daemon=True).start()

    def _attend(
        self, listener: LocalListener, connection: socket.socket, handler: Callable[[socket.socket], None]
    ) -> None:
        try:
            with connection, contextlib.suppress(OSError, FramingError, AgentProtocolError):
                if listener.is_ours(connection):
                    handler(connection)
        finally:
            self._asked_at = time.monotonic()
            self._busy.release()

    def _control(self, connection: socket.socket) -> None:
        decoder = Decoder()
        connection.settimeout(_CONTROL_SILENCE_SECONDS)
        while data := connection.recv(65_536):
            for message in decoder.feed(data):
                if message["type"] == "stop":
                    connection.sendall(encode({"type": "stopping"}))
                    self.stop()
                    return
                for part in self._handled(message):
                    connection.sendall(encode(part))

    def _handled(self, message: dict[str, object]) -> list[dict[str, object]]:
        try:
            with speaking(message.get("language")):
                return self._verbs.handle(message)
        except ClientError as error:
            return [error.to_message()]
        except Exception as error:  # noqa: BLE001 - the edge: one failed request must not end the agent
            failure = ClientError(
                "failed",
                tr("The agent failed"),
                tr("{name} in {type}", name=type(error).__name__, type=message["type"]),
            )
            return [failure.to_message()]

    def _agent(self, connection: socket.socket) -> None:
        buffer = MessageBuffer()
        connection.settimeout(_AGENT_SILENCE_SECONDS)
        while data := connection.recv(65_536):
            for message in buffer.feed(data):
                identities, sign = self._holder.identities()
                connection.sendall(answer(message, identities, sign))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="spa_knock.client.agent", description="Sallyport's client agent.")
    parser.add_argument("--home", type=Path, default=None, help="client home; default: $SALLY_HOME or the platform's")
    options = parser.parse_args(arguments)
    # Elsewhere the kernel offers nothing of the kind.
    if sys.platform == "linux":
        harden()
    os.umask(0o077)
    home = Home(options.home.absolute() if options.home else home_dir())
    try:
        home.prepare()
        with locked(home):
            holder = Holder()
            verbs = Verbs(home, holder)
            server = Server(home, verbs, holder)
            for name in ("SIGTERM", "SIGINT", "SIGHUP"):
                if (number := getattr(signal, name, None)) is not None:
                    signal.signal(number, lambda *_: server.stop())
            verbs.confirming.start()
            server.serve()
    except ClientError as error:
        sys.stderr.write(error.one_line() + "\n")
        return int(error.exit_code)
    except OSError as error:
        sys.stderr.write(
            tr("The agent cannot serve {path}: {why}", path=home.run_path, why=error.strerror or error) + "\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
