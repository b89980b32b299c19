"""Knocks of one identity: a device or an invite. Building one is pure; a stamp is stored before its knock leaves.

A site may listen on several UDP ports, and networks lose or block some datagrams. So a knock goes to one port at once
and, unless the door is up by then, as copies to every port 150 ms later. Copies carry the same nonce: the first that
arrives opens, the site's kernel sheds the others, and one proof fits whichever it was.
"""

import dataclasses
import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from spa_knock.client.connecting import ROUND_SECONDS, Trace
from spa_knock.client.errors import ClientError
from spa_knock.client.home import Home, KnockState
from spa_knock.client.language import tr
from spa_knock.client.silence import Evidence, silence
from spa_knock.client.site import Endpoint, Site
from spa_knock.wire.keys import DeviceKeys, day_of_epoch, epoch_at, gate_key
from spa_knock.wire.packet import NO_GRANT, NONCE_BYTES, Address, Body, seal
from spa_knock.wire.proof import make_proof

VENDOR_FACE_DOOR = 1
SSH_DOOR = 2
WINDOW_SECONDS = 8
COPIES_AFTER_SECONDS = 0.15
_CLOCK_STEP_MS = 60_000


@dataclass(frozen=True)
class Knock:
    """One datagram, and the proof that the TCP connection it opens begins with."""

    packet: bytes = field(repr=False)
    proof: bytes = field(repr=False)
    copies: "Copies | None" = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Approach:
    """How one round tries a door: at which address, where the knock goes, with which guess of our own address."""

    address: str
    port: int
    knock_address: str
    knock_port: int
    second_guess: bool
    seconds: float
    other_knock_ports: tuple[int, ...] = ()


class Copies:
    """The copies of one knock, sent once after a while unless they are stopped. Safe to use from several threads."""

    def __init__(self, packet: bytes, sender: socket.socket, approach: Approach, saw: Callable[[int], None]) -> None:
        self._packet = packet
        self._sender = sender
        self._approach = approach
        self._saw = saw
        self._lock = threading.Lock()
        self._is_over = False
        self.were_sent = False
        self._timer = threading.Timer(COPIES_AFTER_SECONDS, self._send)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """The door is up, or given up: no more copies."""
        self._timer.cancel()
        with self._lock:
            self._close()

    def _send(self) -> None:
        with self._lock:
            if self._is_over:
                return
            self.were_sent = True
            try:
                # The same socket again: an ICMP error that came back for the first datagram is told here.
                self._sender.send(self._packet)
            except OSError as error:
                self._saw(error.errno or 0)
            for port in self._approach.other_knock_ports:
                try:
                    with _towards(self._approach.knock_address, port) as sender:
                        sender.send(self._packet)
                except OSError as error:
                    self._saw(error.errno or 0)
            self._close()

    def _close(self) -> None:
        self._is_over = True
        self._sender.close()


def _towards(address: str, port: int) -> socket.socket:
    """A datagram socket that can only speak with, and hear errors of, one port. Raises OSError."""
    sender = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sender.connect((address, port))
    except OSError:
        sender.close()
        raise
    return sender


def make_knock(
    state: KnockState,
    *,
    audience: bytes,
    sign: Callable[[bytes], bytes],
    door: int,
    bind: bytes,
    grant: bytes | None,
    address: Address | None,
    stamp_ms: int,
    nonce: bytes,
) -> Knock:
    """Seals one knock (pure).

    `stamp_ms` is the site's time, newer than every stamp before; `address` None lets the guard take the packet's own
    source. Raises ClientError when no gate key for that day is left.
    """
    epoch = epoch_at(stamp_ms // 1000)
    day_key = state.day_keys.get(day_of_epoch(epoch))
    if day_key is None:
        raise ClientError(
            "gate_keys_used_up",
            tr("No knock can be made for today"),
            tr(
                "the gate keys of this device cover other days: the clock is wrong, or nobody signed in here for a "
                "month"
            ),
            tr("Check the date; when it is right, ask the plant for a new invite"),
        )
    body = Body(
        service=door,
        stamp_ms=stamp_ms,
        address=address,
        ttl_seconds=WINDOW_SECONDS,
        audience=audience,
        bind=bind,
        grant=grant or NO_GRANT,
        # Counts only for devices that the site knows to have no clock; a knock that names no address never gets it.
        loose_clock=address is not None,
    )
    packet = seal(body, DeviceKeys.derive(state.knock_key, audience), sign, gate_key(day_key, epoch), nonce, epoch)
    return Knock(packet, make_proof(state.knock_key, audience, nonce, door))


def next_stamp(last_ms: int, now_ms: int) -> int:
    """The stamp of the next knock (pure): newer than the last one, and never held back by a clock that once ran ahead.

    The guard takes no stamp more than 30 s ahead of its own clock, so one a minute ahead of a right clock was never
    taken, and going on from it would lock this device out until that moment comes.
    """
    return now_ms if last_ms > now_ms + _CLOCK_STEP_MS else max(last_ms + 1, now_ms)


def named_address(local: str, seen_from: tuple[str, str] | None, *, second_guess: bool) -> Address | None:
    """The address a knock names (pure); None takes the packet's source.

    Once the site has told where it sees us from behind this local address, that is named, and the packet's source is
    the second guess. Before that it is the other way round, with the local address, because there may be no NAT at
    all.
    """
    known = seen_from is not None and seen_from[0] == local
    if known == second_guess:
        return None
    try:
        address = ipaddress.ip_address(seen_from[1] if known and seen_from else local)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return None if address.scope_id else address.ipv4_mapped or address
    return address


class Knocker:
    """Sends knocks of one identity. Safe to use from several threads: stamps never repeat and never fall."""

    def __init__(
        self,
        site: Site,
        sign: Callable[[bytes], bytes],
        load: Callable[[], KnockState],
        store: Callable[[KnockState], None],
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._site = site
        self._sign = sign
        self._load = load
        self._store = store
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._started = (now_ms(), time.monotonic())
        self._udp_errors: set[int] = set()
        self._local: str | None = None

    @classmethod
    def of_home(cls, home: Home, site: Site, sign: Callable[[bytes], bytes]) -> "Knocker":
        return cls(site, sign, home.knock_state, home.write_knock_state)

    @classmethod
    def of_invite(cls, site: Site, sign: Callable[[bytes], bytes], state: KnockState) -> "Knocker":
        """An identity that lives for one enrolment: its stamps are kept in memory."""
        held = [state]

        def store(new: KnockState) -> None:
            held[0] = new

        return cls(site, sign, lambda: held[0], store)

    def change(self, change: Callable[[KnockState], KnockState]) -> None:
        """Stores what a login taught (day keys, clock, address) without losing a stamp."""
        with self._lock:
            self._store(change(self._load()))

    def knock(self, door: int, approach: Approach, *, bind: bytes, grant: bytes | None = None) -> Knock:
        """Sends one knock and returns it. Raises ClientError when it cannot even leave this computer."""
        try:
            sender = _towards(approach.knock_address, approach.knock_port)
            try:
                self._local = str(sender.getsockname()[0])
                with self._lock:
                    knock = self._seal(door, bind, grant, self._local, second_guess=approach.second_guess)
                sender.send(knock.packet)
            except BaseException:
                sender.close()
                raise
            return dataclasses.replace(knock, copies=Copies(knock.packet, sender, approach, self._udp_errors.add))
        except OSError as error:
            raise ClientError(
                "no_answer",
                tr("The knock could not be sent"),
                tr(
                    "this computer has no way to {knock_address} ({strerror})",
                    knock_address=approach.knock_address,
                    strerror=error.strerror or type(error).__name__,
                ),
                tr("Check the network connection"),
            ) from None

    def approaches(self, door: Endpoint) -> list[Approach]:
        """The rounds for a door of this site, the UDP port that worked last first. Raises ClientError."""
        return approaches(door, self._site.knock, self._load().knock_port)

    def came_through(self, knock: Knock, approach: Approach, trace: Trace) -> None:
        """A door opened and proved itself: remembers when, from where, and whether this round's first port did it.

        When only attempts that were started after the copies got through, another port comes first the next time.
        """
        won_at = trace.won_after_seconds or 0.0
        first_did_it = not (knock.copies and knock.copies.were_sent) or won_at < COPIES_AFTER_SECONDS
        port = approach.knock_port if first_did_it else next(iter(approach.other_knock_ports), approach.knock_port)

        def learn(state: KnockState) -> KnockState:
            now_ms = self._now_ms() + state.clock_offset_ms
            return dataclasses.replace(state, knock_port=port, reached_at_ms=now_ms, reached_from=self._local)

        self._udp_errors.clear()
        self.change(learn)

    def nobody_answered(self, what: str, tcp_errors: Iterable[int] = ()) -> ClientError:
        """A knock is never answered, so all that can be told is what usually lies behind the silence."""
        return silence(what, self.evidence(tcp_errors))

    def evidence(self, tcp_errors: Iterable[int] = ()) -> Evidence:
        """What this computer has seen that bears on a silence."""
        state, (wall_ms, monotonic) = self._load(), self._started
        now_ms = self._now_ms()
        return Evidence(
            tcp_errors=frozenset(tcp_errors),
            udp_errors=frozenset(self._udp_errors),
            clock_jump_seconds=(now_ms - wall_ms) / 1000 - (time.monotonic() - monotonic),
            last_offset_seconds=-state.clock_offset_ms / 1000 if state.seen_from is not None else None,
            reached_ago_seconds=(now_ms + state.clock_offset_ms - state.reached_at_ms) / 1000
            if state.reached_at_ms
            else None,
            same_network=None if state.reached_from is None else state.reached_from == self._local,
            udp_ports=self._site.knock.ports,
        )

    def _seal(self, door: int, bind: bytes, grant: bytes | None, local: str, *, second_guess: bool) -> Knock:
        state = self._load()
        stamp_ms = next_stamp(state.last_stamp_ms, self._now_ms() + state.clock_offset_ms)
        knock = make_knock(
            state,
            audience=self._site.audience,
            sign=self._sign,
            door=door,
            bind=bind,
            grant=grant,
            address=named_address(local, state.seen_from, second_guess=second_guess),
            stamp_ms=stamp_ms,
            nonce=os.urandom(NONCE_BYTES),
        )
        self._store(dataclasses.replace(state, last_stamp_ms=stamp_ms))
        return knock


def approaches(door: Endpoint, knock: Endpoint, preferred_port: int | None = None) -> list[Approach]:
    """The rounds in which a door is tried: both address families, first guess of our address first, about 8 s together.

    Each round begins at another UDP port, the first at `preferred_port` if it is one of the site's.

    Resolves names (blocking). Raises ClientError when a name cannot be resolved.
    """
    doors, knocks = _resolve(door, socket.SOCK_STREAM), _resolve(knock, socket.SOCK_DGRAM)
    pairs = [(doors[family], knocks[family]) for family in doors if family in knocks]
    if not pairs:
        raise ClientError(
            "no_answer",
            tr("No way to {host}", host=door.host),
            tr("its name has no address of the same kind as the knock's"),
            tr("Ask the plant which addresses this invite should use"),
        )
    begin = knock.ports.index(preferred_port) if preferred_port in knock.ports else 0
    ports = knock.ports[begin:] + knock.ports[:begin]
    return [
        Approach(
            address=pairs[index % len(pairs)][0],
            port=door.port,
            knock_address=pairs[index % len(pairs)][1],
            knock_port=ports[index % len(ports)],
            other_knock_ports=tuple(port for port in ports if port != ports[index % len(ports)]),
            second_guess=index // len(pairs) % 2 == 1,
            seconds=seconds,
        )
        for index, seconds in enumerate(ROUND_SECONDS)
    ]


def _resolve(endpoint: Endpoint, kind: socket.SocketKind) -> dict[socket.AddressFamily, str]:
    """The first address of each family."""
    try:
        found: Sequence[tuple[socket.AddressFamily, object, object, object, tuple[object, ...]]] = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=kind
        )
    except (OSError, UnicodeError):
        raise ClientError(
            "no_answer",
            tr("The name {host} cannot be resolved", host=endpoint.host),
            tr("the name service does not know it or does not answer"),
            tr("Check the network connection and its name servers"),
        ) from None
    first: dict[socket.AddressFamily, str] = {}
    for family, _, _, _, address in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            first.setdefault(family, str(address[0]))
    return first
