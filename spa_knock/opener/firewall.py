"""Carries verbs out in the kernel: set elements, flow marks, resets. The only module that changes anything."""

import errno
import math
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from spa_knock.opener import conntrack, listing, sets, sockets
from spa_knock.opener.conntrack import Flow
from spa_knock.opener.errors import KernelError, Refusal
from spa_knock.opener.listing import FoundChain
from spa_knock.opener.marked import MarkedSockets
from spa_knock.opener.netlink import Message, Reply
from spa_knock.opener.ruleset import ADDRESS_PORT_SETS, REVOKED_SET, SEEN_SET, BaseChain
from spa_knock.opener.sockets import Connection

Address = IPv4Address | IPv6Address

SEEN_SECONDS = 660
"""A nonce is shed in the kernel for one epoch and two clock windows; by then its packet is too old anyway."""
_ABSENT = {errno.ENOENT, errno.ESRCH, errno.ESTALE}
_FULL = {errno.ENFILE, errno.ENOSPC}
_ANY_PORT = 0


@dataclass(frozen=True, slots=True)
class Held:
    """An element of an address-and-port set, and when it ends by itself."""

    address: Address
    port: int
    milliseconds_left: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What our table holds now. counters: packets by name (`ruleset.Counter`)."""

    counters: dict[str, int]
    windows: list[Held]
    egress: list[Held]
    revoked: int
    used_nonces: int


class Channel(Protocol):
    """What is needed of a netlink socket (`netlink.Netlink`)."""

    def transact(self, messages: Sequence[Message], what: str) -> list[Reply]:
        """Send messages and wait for their answers; raises KernelError."""
        ...

    def dump(self, message: Message, what: str) -> list[Reply]:
        """List what the kernel has; raises KernelError."""
        ...


class Firewall:
    """The opener's hands. Each method is one transaction; KernelError means that it did not happen."""

    def __init__(self, table: str, netfilter: Channel, diagnosis: Channel) -> None:
        self._table = table
        self._netfilter = netfilter
        self._diagnosis = diagnosis
        self._marked = MarkedSockets()

    def require_loaded(self) -> None:
        """Raise KernelError unless every set of the base rule set is there."""
        for name in (*ADDRESS_PORT_SETS, REVOKED_SET, SEEN_SET):
            self._netfilter.transact([sets.get_set(self._table, name)], f"looking for set {name}")

    def wrong_chains(self, wanted: Sequence[BaseChain]) -> list[str]:
        """The names of base chains that are absent, too many, or not as wanted in hook, policy or number of rules."""
        listed = self._netfilter.dump(listing.list_chains(), "listing chains")
        found = {chain.name: chain for reply in listed if (chain := listing.read_chain(reply.payload, self._table))}
        expected = {
            chain.name: FoundChain(chain.name, chain.hook, chain.priority, chain.drops, len(chain.rules))
            for chain in wanted
        }
        return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))

    def contents(self) -> Contents:
        """Counters and elements, for whoever watches over the site. Lists whole sets: not for every second."""
        counted = self._netfilter.dump(listing.list_counters(self._table), "reading counters")
        return Contents(
            counters=dict(pair for reply in counted if (pair := listing.read_counter(reply.payload))),
            windows=self._held("open4") + self._held("open6"),
            egress=self.leased_ways(),
            revoked=len(self._elements(REVOKED_SET)),
            used_nonces=len(self._elements(SEEN_SET)),
        )

    def shed_nonce(self, nonce: bytes) -> None:
        """Shed every further packet with this nonce in the kernel. Raises Refusal `full`."""
        self._change(sets.renew(self._table, SEEN_SET, nonce[:8], SEEN_SECONDS * 1000), "shedding a nonce")

    def revoked_marks(self) -> set[int]:
        """The marks that are revoked now."""
        return {sets.mark_of_key(element.key) for element in self._elements(REVOKED_SET)}

    def open_window(self, port: int, address: Address, seconds: float, nonce: bytes) -> None:
        """Let `address` start connections to `port` for `seconds`, and shed repeats of the knock with this nonce.

        Raises Refusal `full` when a set has no room: nothing is ever evicted.
        """
        key = sets.address_port_key(address, port)
        messages = [
            *sets.renew(self._table, _open_set(address), key, math.ceil(seconds * 1000)),
            *sets.renew(self._table, SEEN_SET, nonce[:8], SEEN_SECONDS * 1000),
        ]
        self._change(messages, "opening a window")

    def close_window(self, port: int, address: Address) -> None:
        """Remove the window; an absent one is no error."""
        key = sets.address_port_key(address, port)
        self._change(sets.discard(self._table, _open_set(address), key, 1000), "closing a window")

    def allow_egress(self, address: Address, port: int, seconds: int) -> None:
        """Let the gateway start connections to `address` and `port` for `seconds`. Raises Refusal `full`."""
        key = sets.address_port_key(address, port)
        self._change(sets.renew(self._table, _egress_set(address), key, seconds * 1000), "allowing egress")

    def end_egress(self, address: Address, port: int) -> None:
        """Stop the gateway's connections to `address` and `port`, running ones too; an absent way is no error."""
        key = sets.address_port_key(address, port)
        self._change(sets.discard(self._table, _egress_set(address), key, 1000), "ending egress")

    def mark_flow(self, port: int, address: Address, remote_port: int, mark: int) -> None:
        """Put `mark` on the one connection from `address`:`remote_port` to our `port`.

        Raises Refusal: `mark_revoked`; `flow_unknown` when there is not exactly one such connection; `mark_taken` when
        it carries another mark, so that a flow cannot be re-marked out of its revocation.
        """
        if self._is_revoked(mark):
            raise Refusal("mark_revoked")
        connections = self._connections(port, address, remote_port)
        flows = {connection.flow for connection in connections}
        if len(flows) != 1:
            raise Refusal("flow_unknown")
        (flow,) = flows
        try:
            found = self._netfilter.transact([conntrack.get_flow(flow)], "reading a flow")
            carried = next((conntrack.read_mark(reply.payload) for reply in found), 0)
            if carried not in (0, mark):
                raise Refusal("mark_taken")
            self._netfilter.transact([conntrack.set_mark(flow, mark)], "marking a flow")
        except KernelError as error:
            if error.number in _ABSENT:
                raise Refusal("flow_unknown") from error
            raise
        self._marked.note(mark, connections)

    def revoke(self, mark: int) -> int:
        """Block `mark` and reset every connection that carries it. Returns how many sockets were destroyed.

        The order matters: first the rule, so that nothing new gets through, then the sockets that were marked here, at
        once; then whatever else the kernel knows of the mark, for which it goes through its whole table. The tracking
        entries stay: they carry the mark that keeps the flow dead; without them a server that talks first would revive
        it.
        """
        self._change([sets.add(self._table, REVOKED_SET, sets.mark_key(mark))], "revoking a mark")
        destroyed = sum(self._destroy(connection) for connection in self._marked.take(mark))
        for flow in self._flows_with_mark(mark):
            for connection in self._connections(flow.local_port, flow.remote, flow.remote_port):
                if connection.flow == flow:
                    destroyed += self._destroy(connection)
        return destroyed

    def unrevoke(self, mark: int) -> None:
        """Allow `mark` again; a mark that is not revoked is no error."""
        self._change(sets.discard(self._table, REVOKED_SET, sets.mark_key(mark), None), "restoring a mark")

    def reset_flow(self, port: int, address: Address, remote_port: int) -> int:
        """Reset the connection from `address`:`remote_port` to our `port`. Returns how many sockets were destroyed."""
        found = self._connections(port, address, remote_port)
        return sum(self._destroy(connection) for connection in found)

    def reset_egress(self, address: Address, port: int, uid: int) -> int:
        """End egress to `address` and `port` and reset the connections that user id `uid` has there.

        First the rule, so that nothing new is made meanwhile. Returns how many sockets were destroyed.
        """
        self.end_egress(address, port)
        found = self._connections(_ANY_PORT, address, port)
        return sum(self._destroy(connection) for connection in found if connection.uid == uid)

    def leased_ways(self) -> list[Held]:
        """Where the gateway may connect to now."""
        return self._held("egress4") + self._held("egress6")

    def _elements(self, name: str) -> list[listing.Element]:
        listed = self._netfilter.dump(listing.list_elements(self._table, name), f"listing set {name}")
        return [element for reply in listed for element in listing.read_elements(reply.payload)]

    def _held(self, name: str) -> list[Held]:
        return [
            Held(*listing.address_and_port(element.key), element.milliseconds_left or 0)
            for element in self._elements(name)
        ]

    def _change(self, messages: Sequence[Message], what: str) -> None:
        try:
            self._netfilter.transact(sets.batch(messages), what)
        except KernelError as error:
            if error.number in _FULL:
                raise Refusal("full") from error
            raise

    def _is_revoked(self, mark: int) -> bool:
        try:
            self._netfilter.transact([sets.get(self._table, REVOKED_SET, sets.mark_key(mark))], "looking up a mark")
        except KernelError as error:
            if error.number == errno.ENOENT:
                return False
            raise
        return True

    def _destroy(self, connection: Connection) -> bool:
        try:
            self._diagnosis.transact([sockets.destroy(connection)], "destroying a socket")
        except KernelError as error:
            if error.number in _ABSENT:
                return False
            raise
        return True

    def _connections(self, port: int, address: Address, remote_port: int) -> list[Connection]:
        # An IPv4 peer of a dual-stack listener has an IPv6 socket.
        families = (socket.AF_INET, socket.AF_INET6) if address.version == 4 else (socket.AF_INET6,)
        found: list[Connection] = []
        for family in families:
            for reply in self._diagnosis.dump(sockets.list_connections(family, port, remote_port), "listing sockets"):
                connection = sockets.read_connection(reply.payload)
                if connection is not None and _is_between(connection.flow, port, address, remote_port):
                    found.append(connection)
        return found

    def _flows_with_mark(self, mark: int) -> list[Flow]:
        listed = self._netfilter.dump(conntrack.list_flows_with_mark(mark), "listing flows")
        flows: list[Flow] = []
        for reply in listed:
            # The kernel filters by mark; checked again, since a flow destroyed by mistake is someone's session.
            flow = conntrack.read_flow(reply.payload) if conntrack.read_mark(reply.payload) == mark else None
            if flow is not None:
                flows.append(flow)
        return flows


def _is_between(flow: Flow, port: int, address: Address, remote_port: int) -> bool:
    return (flow.remote, flow.remote_port) == (address, remote_port) and port in (_ANY_PORT, flow.local_port)


def _open_set(address: Address) -> str:
    return f"open{address.version}"


def _egress_set(address: Address) -> str:
    return f"egress{address.version}"
