"""Reads a target's host key: the key exchange (RFC 4253 section 8), which proves that the target holds it, and nothing
after it. No name and no credential is sent."""

import asyncio
import socket
from typing import Final

import asyncssh

from broker.gateway.probing import Outcome
from broker.protocols.ssh import options

_GREETING: Final = b"SSH-"
_KEY_ALGS: Final = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}


async def read_key(sock: socket.socket, key_type: str) -> tuple[Outcome, str]:
    """The key that the other end of a connected socket proves to hold, `key_type` preferred when it has several."""
    speaks_ssh = await _greets(sock)
    preferred = _KEY_ALGS.get(key_type, ())
    others = tuple(alg for algs in _KEY_ALGS.values() for alg in algs if alg not in preferred)
    try:
        key = await asyncssh.get_server_host_key(
            sock=sock,
            config=None,
            client_version=options.SOFTWARE_NAME,
            kex_algs=options.TARGET_KEX_ALGS,
            server_host_key_algs=(*preferred, *others),
        )
    except asyncssh.KeyExchangeFailed:
        return Outcome.NO_COMMON_ALGORITHM, ""
    except (asyncssh.Error, OSError, ValueError):
        key = None
    if key is None:
        # A server that finds no common algorithm may close before its own list was read.
        return (Outcome.CLOSED_EARLY if speaks_ssh else Outcome.NOT_THE_PROTOCOL), ""
    kind, data = key.export_public_key("openssh").decode("ascii").split()[:2]
    return Outcome.KEY_SHOWN, f"{kind} {data}"


async def _greets(sock: socket.socket) -> bool:
    """Whether what the other end says first begins as RFC 4253 section 4.2 wants; nothing is taken off the socket."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sock, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(sock)
    try:
        first = sock.recv(len(_GREETING), socket.MSG_PEEK)
    except OSError:
        return False
    return first != b"" and _GREETING.startswith(first)
