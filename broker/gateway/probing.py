"""Tests of connections that control orders: as far as the target's key and no further. No credential is at hand here.

Each answer goes into the spool like every report, so that it is in the trail whatever becomes of the link.
"""

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from ipaddress import ip_address
from typing import Final, Protocol

import structlog

from broker.gateway.spec import ProtocolSpec

REPORTED: Final = "gateway.target.probed"
MOST_AT_ONCE: Final = 4
LONGEST_SECONDS: Final = 15

_log = structlog.get_logger("gateway.probing")


class Outcome(StrEnum):
    """How far a test came. Only `KEY_SHOWN` has a key."""

    KEY_SHOWN = "key_shown"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    BLOCKED_HERE = "blocked_here"
    NO_ANSWER = "no_answer"
    SILENT = "silent"
    NOT_THE_PROTOCOL = "not_the_protocol"
    NO_COMMON_ALGORITHM = "no_common_algorithm"
    CLOSED_EARLY = "closed_early"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ProbeOrder:
    """What is to be tested. `key_type` is the pinned key's, empty for any: the target is asked for it first."""

    probe_id: str
    protocol: str
    address: str
    port: int
    key_type: str
    seconds: int


class KeyReader(Protocol):
    """A protocol's way to a target's key: speaks on a connected socket until the key is proven, and not beyond."""

    async def __call__(self, sock: socket.socket, key_type: str) -> tuple[Outcome, str]:
        """How it went and, for `KEY_SHOWN`, the key as an OpenSSH line. The caller bounds the time."""
        ...


class Probes:
    """All tests of this gateway. `run` must be running for any to begin."""

    def __init__(self, specs: Sequence[ProtocolSpec], report: Callable[[str, dict[str, str | int]], None]) -> None:
        self._readers = {spec.name: spec.key_reader for spec in specs if spec.key_reader}
        self._report = report
        self._tasks: asyncio.TaskGroup | None = None
        self._count = 0

    async def run(self) -> None:
        """Serves until cancelled; tests that run end with it."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None

    def begin(self, order: ProbeOrder) -> None:
        """Tests a connection; its report follows, also when there is no room for it."""
        if self._tasks is None or self._count >= MOST_AT_ONCE:
            self._tell(order, Outcome.BUSY, "", 0)
            return
        self._count += 1
        self._tasks.create_task(self._serve(order))

    async def _serve(self, order: ProbeOrder) -> None:
        began = time.monotonic()
        outcome, key = Outcome.FAILED, ""
        try:
            outcome, key = await self._tested(order)
        except Exception as error:  # noqa: BLE001 - the edge: what a stranger sends must not end the gateway
            _log.warning("probe_failed", probe_id=order.probe_id, error=type(error).__name__)
        finally:
            self._count -= 1
        self._tell(order, outcome, key, round((time.monotonic() - began) * 1000))

    async def _tested(self, order: ProbeOrder) -> tuple[Outcome, str]:
        name = self._readers.get(order.protocol)
        if name is None:
            return Outcome.FAILED, ""
        reader = _load(name)
        seconds = min(order.seconds, LONGEST_SECONDS)
        ends_at = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(ends_at):
                sock = await _connected(order.address, order.port)
        except TimeoutError:
            return Outcome.NO_ANSWER, ""
        except OSError as error:
            return _why(error), ""
        with contextlib.closing(sock):
            try:
                async with asyncio.timeout_at(ends_at):
                    return await reader(sock, order.key_type)
            except TimeoutError:
                return Outcome.SILENT, ""

    def _tell(self, order: ProbeOrder, outcome: Outcome, key: str, milliseconds: int) -> None:
        self._report(
            REPORTED,
            {"probe_id": order.probe_id, "outcome": outcome.value, "host_key": key, "milliseconds": milliseconds},
        )


def read_order(message: Mapping[str, object]) -> ProbeOrder:
    """An order as it arrives. Raises ValueError."""
    texts = {name: message.get(name) for name in ("probe_id", "protocol", "address", "key_type")}
    numbers = {name: message.get(name) for name in ("port", "seconds")}
    if not all(isinstance(value, str) and len(value) <= 64 for value in texts.values()):
        raise ValueError("a probe's texts are short")
    if not all(type(value) is int and 1 <= value <= 65_535 for value in numbers.values()):
        raise ValueError("a probe's numbers are whole and positive")
    return ProbeOrder(
        probe_id=str(texts["probe_id"]),
        protocol=str(texts["protocol"]),
        address=str(ip_address(str(texts["address"]))),
        port=int(str(numbers["port"])),
        key_type=str(texts["key_type"]),
        seconds=int(str(numbers["seconds"])),
    )


async def _connected(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _why(error: OSError) -> Outcome:
    match error.errno:
        case errno.ECONNREFUSED:
            return Outcome.REFUSED
        case errno.EPERM | errno.EACCES:
            return Outcome.BLOCKED_HERE
        case errno.ETIMEDOUT:
            return Outcome.NO_ANSWER
        case _:
            return Outcome.UNREACHABLE


def _load(name: str) -> KeyReader:
    module, _, attribute = name.partition(":")
    reader: KeyReader = getattr(import_module(module), attribute)
    return reader
