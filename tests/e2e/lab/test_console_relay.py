import socket
import subprocess
import sys

import pytest

from deploy.demo.console_relay import start_console_relay
from deploy.demo.lab import BROKER, BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, OFFICE, OFFICE_ADDRESS, Lab, LabError

pytestmark = pytest.mark.netns

_ECHO = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listening", flush=True)
while True:
    connection, peer = server.accept()
    connection.sendall(peer[0].encode() + b" ")
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.close()
"""


def _answer(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        parts = []
        while data := client.recv(65536):
            parts.append(data)
    return b"".join(parts)


def test_a_person_on_the_machine_reaches_the_console_as_the_office_does() -> None:
    with Lab() as lab:
        argv = [sys.executable, "-c", _ECHO, BROKER_CONSOLE_ADDRESS, str(CONSOLE_PORT)]
        console = lab.popen(BROKER, argv, stdout=subprocess.PIPE)
        assert console.stdout is not None
        assert console.stdout.readline() == "listening\n"
        port = start_console_relay(lab)
        sent = b"x" * 300_000
        assert _answer(port, sent) == OFFICE_ADDRESS.encode() + b" " + sent
        (pid,) = lab.run(OFFICE, ["ip", "netns", "pids", lab.name(OFFICE)]).stdout.split()[:1]
        assert "Uid:\t65534" in lab.run(OFFICE, ["cat", f"/proc/{pid}/status"]).stdout
        with pytest.raises(LabError, match=f"port {port}"):
            start_console_relay(lab, port)
    with pytest.raises(ConnectionRefusedError):
        _answer(port, b"")


def test_a_console_that_is_down_ends_the_connection_at_once() -> None:
    with Lab() as lab:
        port = start_console_relay(lab)
        with pytest.raises(ConnectionError):
            assert _answer(port, b"hello") == b""
            raise ConnectionResetError("closed without a byte is as good as reset")
