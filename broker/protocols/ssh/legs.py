"""Both legs of one SSH session: carries the machine's commands out on asyncssh, and turns callbacks into events.

What is allowed is not decided here. Flow control is crossed over: a side that cannot take more stops the other.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import asyncssh
from asyncssh.constants import EXTENDED_DATA_STDERR

from broker.gateway import contract as c
from broker.gateway.channels import ChannelKind, ExitState, Side, Stream, Terminal
from broker.gateway.legs import TargetRefused
from broker.gateway.permits import Lease
from broker.protocols.ssh import options
from broker.protocols.ssh.codec import plain_line
from broker.protocols.ssh.ends import disconnect, reset_when_closed, resetter

_FLUSH_BYTES: Final = 128 * 1024
_LAST_WORDS_SECONDS: Final = 0.3
_GONE_SECONDS: Final = 0.4


@dataclass(slots=True)
class _Pair:
    """One channel on both sides, and why each side's input rests."""

    front: asyncssh.SSHServerChannel[bytes] | None
    back: asyncssh.SSHClientChannel[bytes] | None = None
    terminal: bool = False
    waiting: list[tuple[bytes, Stream]] = field(default_factory=list)
    waiting_bytes: int = 0
    front_rests: set[str] = field(default_factory=set)
    back_rests: set[str] = field(default_factory=set)
    dropped: bool = False


class SshLegs:
    """The two connections of one session."""

    def __init__(self, local_address: str | None = None) -> None:
        """`local_address` is the source address towards targets; None leaves it to the system."""
        self._local_address = local_address
        self._loop = asyncio.get_running_loop()
        self._handle: Callable[[c.Event], None] = lambda event: None
        self._front: asyncssh.SSHServerConnection | None = None
        self._back: asyncssh.SSHClientConnection | None = None
        self._pairs: dict[int, _Pair] = {}
        self._last_number = 0
        self._flush_due = False
        self._target_dropped = False

    def attach(self, front: asyncssh.SSHServerConnection, handle: Callable[[c.Event], None]) -> None:
        """`handle` takes the events; before this call nothing happens."""
        self._front = front
        self._handle = handle

    @property
    def channel_count(self) -> int:
        return sum(pair.front is not None for pair in self._pairs.values())

    def feed(self, event: c.Event) -> None:
        """An event, behind all output of the target that came before it."""
        self._flush()
        self._handle(event)

    # -- callbacks of the engineer's side

    def add_front(self, channel: asyncssh.SSHServerChannel[bytes]) -> int:
        self._last_number += 1
        self._pairs[self._last_number] = _Pair(channel)
        return self._last_number

    def set_terminal(self, number: int) -> None:
        if (pair := self._pairs.get(number)) is not None:
            pair.terminal = True

    def front_closed(self, number: int) -> None:
        if (pair := self._pairs.get(number)) is not None:
            pair.front = None
            self._forget(number)
        self.feed(c.ChannelClosed(number, Side.CLIENT))

    def client_full(self, number: int, *, full: bool) -> None:
        self._rest(number, Side.TARGET, "full", rest=full)

    # -- callbacks of the target's side

    def target_bytes(self, number: int, data: bytes, stream: Stream) -> None:
        """Gathers what arrives in one turn of the loop, so that the recorder sees batches and not packets."""
        pair = self._pairs.get(number)
        if pair is None:
            return
        if pair.waiting and pair.waiting[-1][1] is not stream:
            self._flush()
        pair.waiting.append((data, stream))
        pair.waiting_bytes += len(data)
        if pair.waiting_bytes >= _FLUSH_BYTES:
            self._flush()
        elif not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def target_full(self, number: int, *, full: bool) -> None:
        self._rest(number, Side.CLIENT, "full", rest=full)

    def back_closed(self, number: int) -> None:
        # Behind the end of the connection, when that is why: the session then ends with its reason.
        self._loop.call_soon(self._back_closed_later, number)

    def _back_closed_later(self, number: int) -> None:
        if (pair := self._pairs.get(number)) is not None:
            pair.back = None
        self.feed(c.ChannelClosed(number, Side.TARGET))
        self._forget(number)

    def target_gone(self, reason: str) -> None:
        was_connected, self._back = self._back is not None, None
        if was_connected and not self._target_dropped:  # before that, `dial` tells why it failed
            self.feed(c.SideGone(Side.TARGET, f"The connection to the target was lost. {reason}".strip()))

    def _flush(self) -> None:
        self._flush_due = False
        for number, pair in list(self._pairs.items()):
            if pair.waiting:
                stream = pair.waiting[0][1]
                data = b"".join(part for part, _ in pair.waiting)
                pair.waiting.clear()
                pair.waiting_bytes = 0
                self._handle(c.TargetBytes(number, data, stream))

    def _forget(self, number: int) -> None:
        pair = self._pairs.get(number)
        if pair is not None and pair.front is None and pair.back is None:
            del self._pairs[number]

    # -- commands

    async def dial(self, lease: Lease) -> None:
        """Connects and signs in; only the pinned key is taken. Raises TargetRefused."""
        try:
            pinned = asyncssh.import_public_key(lease.host_key)
            secret = lease.secret.reveal()
            keys = [asyncssh.import_private_key(secret)] if lease.credential_kind == "private_key" else None
        except (asyncssh.KeyImportError, ValueError) as error:
            raise TargetRefused("bad_lease", "The target's pinned key or its credential cannot be read.") from error
        try:
            connection = await asyncssh.connect(
                lease.address,
                lease.port,
                known_hosts=([pinned], [], []),
                config=None,
                client_factory=lambda: _BackClient(self),
                local_addr=(self._local_address, 0) if self._local_address else None,
                username=lease.account,
                password=secret if keys is None else None,
                client_keys=keys,
                preferred_auth=("publickey",) if keys else ("password", "keyboard-interactive"),
                agent_path=None,
                agent_forwarding=False,
                gss_host=None,
                x509_trusted_certs=None,
                disable_trivial_auth=True,
                client_version=options.SOFTWARE_NAME,
                kex_algs=options.TARGET_KEX_ALGS,
                encryption_algs=options.ENCRYPTION_ALGS,
                mac_algs=options.MAC_ALGS,
                signature_algs=options.SIGNATURE_ALGS,
                compression_algs=None,
                connect_timeout=options.CONNECT_SECONDS,
                login_timeout=options.LOGIN_SECONDS,
                keepalive_interval=options.KEEPALIVE_SECONDS,
                keepalive_count_max=options.KEEPALIVE_COUNT,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            message = "The target showed another host key than the pinned one. Nothing was sent to it."
            raise TargetRefused("host_key_mismatch", message) from error
        except asyncssh.PermissionDenied as error:
            message = "The target did not take its stored credential. Tell the plant's administrator."
            raise TargetRefused("credential_refused", message) from error
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise TargetRefused("target_offline", "The target cannot be reached.") from error
        if connection.is_closed():
            raise TargetRefused("target_offline", "The target closed the connection at once.")
        if self._target_dropped:
            connection.abort()
            raise TargetRefused("ended", "The session has ended.")
        limit_reads(getattr(connection, "_transport", None))
        self._back = connection

    async def open_channel(self, command: c.OpenChannel) -> None:
        """Opens the channel with the same request as the engineer made. Raises TargetRefused."""
        back, number = self._back, command.channel
        if back is None:
            raise TargetRefused("target_left", "the connection is gone")
        terminal = command.terminal
        is_exec = command.kind is ChannelKind.EXEC
        try:
            channel, _ = await back.create_session(
                lambda: _BackSession(self, number),
                command.text if is_exec else None,
                subsystem=command.text if command.kind is ChannelKind.FILE_TRANSFER else None,
                env=dict(command.environment),
                request_pty="force" if terminal is not None else False,
                term_type=terminal.kind if terminal is not None else None,
                term_size=_size(terminal) if terminal is not None else None,
                term_modes=dict(terminal.modes) if terminal is not None else None,
                x11_forwarding=False,
                encoding=None,
                window=options.WINDOW_BYTES,
                max_pktsize=options.PACKET_BYTES,
            )
        except asyncssh.ChannelOpenError as error:
            raise TargetRefused("channel_refused", plain_line(error.reason)) from error
        except (asyncssh.Error, OSError, ValueError) as error:
            raise TargetRefused("channel_refused", "the connection failed") from error
        pair = self._pairs.get(number)
        if pair is None or pair.dropped:
            channel.abort()
            return
        if pair.back is None and not channel.is_closing():
            pair.back = channel
        if pair.back_rests:
            channel.pause_reading()

    def send(self, command: c.Send) -> None:
        pair = self._pairs.get(command.channel)
        if pair is None:
            return
        with suppress(OSError):  # the other side closed: its event is on the way
            if command.side is Side.CLIENT and pair.front is not None:
                pair.front.write(command.data, EXTENDED_DATA_STDERR if command.stream is Stream.ERROR else None)
            elif command.side is Side.TARGET and pair.back is not None:
                pair.back.write(command.data)

    def send_end(self, command: c.SendEnd) -> None:
        pair = self._pairs.get(command.channel)
        if pair is not None:
            with suppress(OSError):
                channel = pair.front if command.side is Side.CLIENT else pair.back
                if channel is not None:
                    channel.write_eof()

    def refuse(self, command: c.Refuse) -> None:
        self.message(c.Message(command.channel, f"Sallyport: {command.message}"))
        self.end_channel(c.EndChannel(command.channel, ExitState(status=command.status)))

    def message(self, command: c.Message) -> None:
        """On a terminal in its own stream, so that it keeps its place among the target's output; without one on
        standard error, because an extra byte on standard output would break programs.
        """
        pair = self._pairs.get(command.channel)
        if pair is None or pair.front is None:
            return
        line = plain_line(command.text).encode()
        with suppress(OSError):
            if pair.terminal:
                pair.front.write(b"\r\n" + line + b"\r\n")
            else:
                pair.front.write_stderr(line + b"\n")

    def end_channel(self, command: c.EndChannel) -> None:
        pair = self._pairs.get(command.channel)
        if pair is None or pair.front is None:
            return
        ended = command.exit
        with suppress(OSError):
            if ended.signal is not None:
                pair.front.exit_with_signal(ended.signal, ended.core_dumped, ended.message)
            elif ended.status is not None:
                pair.front.exit(ended.status)
            else:
                pair.front.close()

    def close_target_channel(self, channel: int) -> None:
        pair = self._pairs.get(channel)
        if pair is not None:
            pair.dropped = True
            if pair.back is not None:
                pair.back.close()

    def resize(self, command: c.Resize) -> None:
        pair = self._pairs.get(command.channel)
        if pair is not None and pair.back is not None:
            with suppress(OSError):
                pair.back.change_terminal_size(command.width, command.height, command.pixel_width, command.pixel_height)

    def signal(self, command: c.Signal) -> None:
        pair = self._pairs.get(command.channel)
        if pair is not None and pair.back is not None:
            with suppress(OSError, ValueError):
                pair.back.send_signal(command.name)

    def send_break(self, command: c.Break) -> None:
        pair = self._pairs.get(command.channel)
        if pair is not None and pair.back is not None:
            with suppress(OSError):
                pair.back.send_break(command.duration_ms)

    def flow(self, command: c.Flow) -> None:
        self._rest(command.channel, command.side, "held", rest=not command.open)

    def drop_target(self) -> None:
        """`abort` discards what is buffered: after a cut no further byte reaches the target."""
        self._target_dropped = True
        if self._back is not None:
            reset_when_closed(self._back)
            self._back.abort()
            self._back = None

    def drop_client(self, message: str) -> None:
        """Disconnects once the last words had a chance to leave: `disconnect` itself throws away what is buffered."""
        front = self._front
        if front is None:
            return
        self._front = None
        transport = getattr(front, "_transport", None)
        words = plain_line(message) or "The session has ended."
        delay = _LAST_WORDS_SECONDS if transport is not None and transport.get_write_buffer_size() else 0.0
        self._loop.call_later(delay, disconnect, front, words)
        # A client that reads nothing must not keep its leg: what has not left by then is lost.
        self._loop.call_later(delay + _GONE_SECONDS, resetter(front))

    def _rest(self, number: int, side: Side, reason: str, *, rest: bool) -> None:
        pair = self._pairs.get(number)
        if pair is None:
            return
        reasons, channel = (pair.front_rests, pair.front) if side is Side.CLIENT else (pair.back_rests, pair.back)
        rested = bool(reasons)
        if rest:
            reasons.add(reason)
        else:
            reasons.discard(reason)
        if channel is None or bool(reasons) == rested:
            return
        with suppress(OSError):
            if reasons:
                channel.pause_reading()
            else:
                channel.resume_reading()


def limit_reads(transport: object) -> None:
    """One turn of the loop for one connection stays short; only asyncio's own transports have this knob."""
    if hasattr(transport, "max_size"):
        transport.max_size = options.READ_BYTES


def _size(terminal: Terminal) -> tuple[int, int, int, int]:
    return terminal.width, terminal.height, terminal.pixel_width, terminal.pixel_height


class _BackClient(asyncssh.SSHClient):
    """The connection to the target; its host key is compared with the pin by asyncssh before anything is sent."""

    def __init__(self, legs: SshLegs) -> None:
        self._legs = legs

    def connection_lost(self, exc: Exception | None) -> None:
        self._legs.target_gone("")


class _BackSession(asyncssh.SSHClientSession[bytes]):
    """One session channel on the target."""

    def __init__(self, legs: SshLegs, number: int) -> None:
        self._legs = legs
        self._number = number

    def connection_lost(self, exc: Exception | None) -> None:
        self._legs.back_closed(self._number)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        stream = Stream.ERROR if datatype == EXTENDED_DATA_STDERR else Stream.OUTPUT
        self._legs.target_bytes(self._number, data, stream)

    def eof_received(self) -> bool:
        self._legs.feed(c.Ended(self._number, Side.TARGET))
        return True

    def exit_status_received(self, status: int) -> None:
        self._legs.feed(c.TargetExited(self._number, ExitState(status=status)))

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:  # noqa: FBT001
        state = ExitState(signal=plain_line(signal)[:32], core_dumped=core_dumped, message=plain_line(msg)[:512])
        self._legs.feed(c.TargetExited(self._number, state))

    def pause_writing(self) -> None:
        self._legs.target_full(self._number, full=True)

    def resume_writing(self) -> None:
        self._legs.target_full(self._number, full=False)
