"""`sally-helper`: what ssh runs before and for each connection. Standard library only, because it runs very often.

    sally-helper [--control SOCKET] prepare [--quiet] NAME   the agent gets a certificate for NAME, if it has none yet
    sally-helper [--control SOCKET] proxy NAME               knocks, connects, proves, and hands the connection to ssh

`proxy` is for `ProxyUseFdpass yes`: standard output is a socket, over which the connection's descriptor goes to ssh.
Both leave with 0 or, after one line on standard error, with 255. Neither ever asks anything.
"""

import array
import base64
import binascii
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from spa_knock.client.connecting import Trace, connect_within
from spa_knock.client.control import ControlLink
from spa_knock.client.errors import ClientError
from spa_knock.client.language import tr
from spa_knock.client.places import control_socket

_USAGE = "usage: sally-helper [--control SOCKET] prepare [--quiet] NAME | proxy NAME"
_FAILED = 255
_GREETING_SECONDS = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    control = None
    if words[:1] == ["--control"] and len(words) > 1:
        control, words = Path(words[1]), words[2:]
    quiet = words[:2] == ["prepare", "--quiet"]
    if quiet:
        del words[1]
    if len(words) != 2 or words[0] not in ("prepare", "proxy"):
        sys.stderr.write(_USAGE + "\n")
        return _FAILED
    verb, name = words
    try:
        with ControlLink(control or control_socket()) as agent:
            if verb == "prepare":
                agent.ask("prepare", name=name)
            else:
                proxy(agent, name)
    except ClientError as error:
        # ssh calls prepare quietly: the proxy, which it calls next, says what is wrong.
        if not quiet:
            sys.stderr.write(f"sally: {error.one_line()}\n")
        return _FAILED
    return 0


def proxy(agent: ControlLink, name: str) -> None:
    """Hands ssh a connection on which the proof has been sent. Raises ClientError."""
    number, trace = 0, Trace()
    while True:
        # The agent ends this loop: after the last round it answers with what is likely wrong.
        # Our parent is the ssh that gets the connection: when it ends, the agent looks after the session's receipt.
        knocked = agent.ask("knock", name=name, round=number, errors=sorted(trace.errors), ssh_pid=os.getppid())
        number += 1
        connection = connect_through(knocked, trace)
        if connection is not None:
            with connection:
                pass_on(connection)
            return


def connect_through(knocked: dict[str, object], trace: Trace | None = None) -> socket.socket | None:
    """The connection that this knock opened, its proof sent; None when it did not open or was closed at once."""
    address, port, wait_ms = knocked.get("address"), knocked.get("port"), knocked.get("wait_ms")
    if not isinstance(address, str) or not isinstance(port, int) or not isinstance(wait_ms, int):
        raise _unintelligible()
    try:
        proof = base64.b64decode(str(knocked.get("proof_b64")), validate=True)
    except binascii.Error:
        raise _unintelligible() from None
    begun_at = time.monotonic()
    connection = connect_within(address, port, wait_ms / 1000, trace)
    if connection is None:
        return None
    try:
        connection.sendall(proof)
        connection.settimeout(_GREETING_SECONDS)
        # An SSH server greets first. Only a look: the bytes stay for ssh.
        if connection.recv(1, socket.MSG_PEEK):
            connection.settimeout(None)
            return connection
    except TimeoutError:
        connection.settimeout(None)
        return connection
    except OSError:
        pass
    connection.close()
    # Closed at once: somebody else's connection, or a race. The next knock comes no sooner than if nothing had opened.
    time.sleep(max(0.0, min(wait_ms / 1000, 1.0) - (time.monotonic() - begun_at)))
    return None


def pass_on(connection: socket.socket) -> None:
    """Sends the descriptor over standard output, with the one byte that ssh expects beside it. Raises ClientError."""
    try:
        with socket.socket(fileno=os.dup(sys.stdout.fileno())) as ssh:
            rights = array.array("i", [connection.fileno()])
            ssh.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    except OSError:
        raise ClientError(
            "usage",
            tr("The connection cannot be handed over"),
            tr("standard output is not a socket, so this was not started by ssh with ProxyUseFdpass"),
            tr("Run: sally ssh-config --install"),
        ) from None


def _unintelligible() -> ClientError:
    return ClientError(
        "failed", tr("The agent does not answer"), tr("it ended or is of another version"), tr("Run: sally login")
    )


if __name__ == "__main__":
    sys.exit(main())
