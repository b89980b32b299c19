"""Pure: one live session as a machine, the same for every protocol.

`pending → live → closing → closed`. `handle(event, now)` answers with commands that must be carried out in their
order. What is always true: bytes are sent to a side only directly after a `Record` of exactly these bytes, nothing is
sent once the session closes or the recorder failed, and a session ends no later than its permit.
"""

import json
import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, assert_never

from broker.gateway import channel_words as told
from broker.gateway import contract as c
from broker.gateway.channel_machine import STATUS_REFUSED, ChannelMachine
from broker.gateway.channel_telling import Shared
from broker.gateway.channels import Side
from broker.gateway.permits import SessionPermit
from recorder.frames import Frame, FrameKind

WATCHED: Final = "watched"
MAX_CHANNELS: Final = 10
MAX_QUEUED_BYTES: Final = 16 * 1024 * 1024
_RENEW_BEFORE_MS: Final = 30_000
_REASON: Final = re.compile(r"[a-z0-9._-]{1,64}")


class Cause(Enum):
    """Why the engineer's input is held."""

    ORDER = "order"
    UNWATCHED = "unwatched"
    CONTROL = "control"


class Phase(Enum):
    PENDING = auto()
    LIVE = auto()
    CLOSING = auto()
    CLOSED = auto()


class SessionMachine:
    """The decisions of one session. Holds no socket and reads no clock."""

    def __init__(self, now: c.Moment) -> None:
        self.phase = Phase.PENDING
        self.end_reason: str | None = None
        self._started_us = now.boot_us
        self._shared: Shared | None = None
        self._ends_boot_us = 0
        self._last_input_us = now.boot_us
        self._silent_since_us: int | None = None
        self._frozen: dict[Cause, str] = {}
        self._channels: dict[int, ChannelMachine] = {}
        self._renewal_asked = False
        self._exit_status: int | None = None

    def handle(self, event: c.Event, now: c.Moment) -> list[c.Command]:
        """The commands that follow from one event."""
        if self.phase in (Phase.CLOSING, Phase.CLOSED):
            return []
        match event:
            case c.Admitted(permit):
                return self._admitted(permit, now)
            case c.Leased(lease):
                return [c.Dial(lease)]
            case c.Dialed():
                return self._dialed(now)
            case c.OpeningFailed(code, message):
                return self._end(code, message, now)
            case c.ChannelRequested():
                return self._requested(event, now)
            case c.ChannelOpened(number) if number not in self._channels:
                return [c.CloseTargetChannel(number)]  # the client left while the target was asked
            case c.ChannelOpened(number):
                return self._of_channel(number, lambda one: one.opened(now), now)
            case c.ChannelFailed(number, message):
                return self._of_channel(number, lambda one: one.failed(message, now), now)
            case c.ClientBytes(number, data):
                self._last_input_us = now.boot_us
                return self._of_channel(number, lambda one: one.client_bytes(data, now), now)
            case c.TargetBytes(number, data, stream):
                return self._of_channel(number, lambda one: one.target_bytes(data, stream, now), now)
            case c.Ended(number, side):
                return self._of_channel(number, lambda one: one.ended(side, now), now)
            case c.Resized(number):
                return self._of_channel(number, lambda one: one.resized(event, now), now)
            case c.Signalled(number, name):
                passed = c.Signal(number, name)
                return self._of_channel(number, lambda one: one.pass_signal(f"signal {name}", passed, now), now)
            case c.Broken(number, duration_ms):
                broken = c.Break(number, duration_ms)
                return self._of_channel(number, lambda one: one.pass_signal("break", broken, now), now)
            case c.TargetExited(number, state):
                if number in self._channels:
                    self._channels[number].exited(state)
                return []
            case c.ChannelClosed(number, side):
                return self._of_channel(number, lambda one: one.closed(side, now), now)
            case c.TimerFired(number, token):
                return self._of_channel(number, lambda one: one.timer(token, now), now)
            case c.HoldDecided(number, allowed):
                return self._of_channel(number, lambda one: one.decided(now, allowed=allowed), now)
            case _:
                return self._of_session(event, now)

    def _of_session(self, event: c.SessionEvent, now: c.Moment) -> list[c.Command]:
        match event:
            case c.SideGone(side, reason):
                if side is Side.CLIENT:
                    return self._end("client_left", "", now)
                return self._end("target_left", reason or told.TARGET_CLOSED, now)
            case c.Ticked():
                return self._ticked(now)
            case c.Renewed(not_after_ms):
                return self._renewed(not_after_ms, now)
            case c.PermitEnded(reason):
                code = reason if _REASON.fullmatch(reason) else "permit_ended"
                return self._end(code, told.access_ended(reason), now)
            case c.CutOrdered(reason):
                return self._end("cut", told.cut_by_the_plant(reason), now)
            case c.Frozen(reason):
                return self._freeze(Cause.ORDER, told.held_by_the_plant(reason), now)
            case c.Thawed():
                return self._thaw(Cause.ORDER, now)
            case c.Told(text):
                return self._told(text, now)
            case c.WatchersChanged(count):
                return self._watchers_changed(count, now)
            case c.ControlLost():
                if self._silent_since_us is None:
                    self._silent_since_us = now.boot_us
                return self._freeze(Cause.CONTROL, told.CONTROL_AWAY, now) if self._must_be_watched else []
            case c.ControlBack():
                self._silent_since_us = None
                self._renewal_asked = False
                return self._thaw(Cause.CONTROL, now)
            case c.RecorderFailed(reason, code, is_whole):
                if self._shared is not None:
                    self._shared.recording = False
                return self._end(code, told.not_recorded(reason), now, is_broken=not is_whole)
            case c.RecorderResumed(held_ms):
                note = json.dumps({"kind": "recording_held", "text": f"{held_ms} ms", "held_ms": held_ms}).encode()
                return [c.Record((Frame(FrameKind.NOTE, 0, self.elapsed_us(now), note),))]
            case _:
                assert_never(event)

    def elapsed_us(self, now: c.Moment) -> int:
        """The recording's clock."""
        return max(now.boot_us - self._started_us, 0)

    # -- opening, channels

    def _admitted(self, permit: SessionPermit, now: c.Moment) -> list[c.Command]:
        if self._shared is not None:
            return []
        self._shared = Shared(permit, self._started_us)
        self._set_end(self._shared, permit.not_after_ms, now)
        if self._past_end(self._shared, now):
            return self._end("expired", told.access_ended(""), now)
        if self._must_be_watched:
            self._freeze(Cause.UNWATCHED, told.NOBODY_WATCHES, now)
        return [c.AskLease()]

    def _dialed(self, now: c.Moment) -> list[c.Command]:
        self.phase = Phase.LIVE
        self._last_input_us = now.boot_us
        commands: list[c.Command] = []
        for cause, words in self._frozen.items():
            commands += self._noted("frozen", cause, words, now)
        for number in list(self._channels):
            commands += self._of_channel(number, lambda one: one.start(now), now)
        return commands

    def _requested(self, event: c.ChannelRequested, now: c.Moment) -> list[c.Command]:
        if self._shared is None:
            return [c.Refuse(event.channel, told.NOT_ADMITTED, STATUS_REFUSED)]
        if len(self._channels) >= MAX_CHANNELS:
            return [c.Refuse(event.channel, told.too_many_channels(MAX_CHANNELS), STATUS_REFUSED)]
        self._channels[event.channel] = ChannelMachine(event.channel, event, self._shared)
        if self.phase is not Phase.LIVE:
            return []
        return self._of_channel(event.channel, lambda one: one.start(now), now)

    def _of_channel(
        self, number: int, act: Callable[[ChannelMachine], list[c.Command]], now: c.Moment
    ) -> list[c.Command]:
        channel = self._channels.get(number)
        if channel is None:
            return []
        commands = act(channel)
        if channel.over:
            del self._channels[number]
            self._exit_status = channel.exit_status if channel.exit_status is not None else self._exit_status
        if sum(one.queued_bytes for one in self._channels.values()) > MAX_QUEUED_BYTES:
            commands += self._end("overflow", told.OVERFLOW, now)
        return commands

    # -- time, freezing, the end

    def _set_end(self, shared: Shared, not_after_ms: int, now: c.Moment) -> None:
        """The earlier of two clocks ends a session, so that setting one of them gains nothing."""
        shared.ends_wall_ms = not_after_ms
        self._ends_boot_us = now.boot_us + (not_after_ms - now.wall_ms) * 1000

    def _past_end(self, shared: Shared, now: c.Moment) -> bool:
        return now.wall_ms >= shared.ends_wall_ms or now.boot_us >= self._ends_boot_us

    def _renewed(self, not_after_ms: int, now: c.Moment) -> list[c.Command]:
        if self._shared is not None:
            self._renewal_asked = not_after_ms <= self._shared.ends_wall_ms
            self._set_end(self._shared, not_after_ms, now)
        return []

    def _ticked(self, now: c.Moment) -> list[c.Command]:
        shared = self._shared
        if shared is None:
            return []
        permit = shared.permit
        if self._past_end(shared, now):
            return self._end("expired", told.TIME_OVER, now)
        idle_us = now.boot_us - self._last_input_us
        may_type = self.phase is Phase.LIVE and not shared.frozen
        if permit.idle_seconds and may_type and idle_us >= permit.idle_seconds * 1_000_000:
            return self._end("idle", told.IDLE, now)
        if self._silent_since_us is not None:
            silent_us = now.boot_us - self._silent_since_us
            if silent_us >= 2 * permit.autonomy_seconds * 1_000_000:
                return self._end("autonomy", told.CONTROL_AWAY_TOO_LONG, now)
            if silent_us >= permit.autonomy_seconds * 1_000_000:
                return self._freeze(Cause.CONTROL, told.CONTROL_AWAY, now)
        elif not self._renewal_asked and shared.ends_wall_ms - now.wall_ms <= _RENEW_BEFORE_MS:
            self._renewal_asked = True
            return [c.AskRenewal()]
        return []

    @property
    def _must_be_watched(self) -> bool:
        return self._shared is not None and WATCHED in self._shared.permit.duties

    def _watchers_changed(self, count: int, now: c.Moment) -> list[c.Command]:
        if not self._must_be_watched:
            return []
        if count:
            return self._thaw(Cause.UNWATCHED, now)
        return self._freeze(Cause.UNWATCHED, told.NOBODY_WATCHES, now)

    def _freeze(self, cause: Cause, words: str, now: c.Moment) -> list[c.Command]:
        """Input is held as long as any cause lasts; the engineer reads the words of the newest."""
        shared = self._shared
        if shared is None or self._frozen.get(cause) == words:
            return []
        self._frozen[cause] = words
        shared.frozen, shared.held_because = True, words
        if self.phase is not Phase.LIVE:
            return []
        commands = self._noted("frozen", cause, words, now)
        for channel in self._channels.values():
            commands += [*channel.say(words, now), *channel.freeze()]
        return commands

    def _thaw(self, cause: Cause, now: c.Moment) -> list[c.Command]:
        shared = self._shared
        if shared is None or self._frozen.pop(cause, None) is None:
            return []
        if self._frozen:
            shared.held_because = next(reversed(self._frozen.values()))
            return []
        shared.frozen = False
        self._last_input_us = now.boot_us
        if self.phase is not Phase.LIVE:
            return []
        commands = self._noted("thawed", cause, told.GOES_ON, now)
        for number in list(self._channels):
            commands += self._of_channel(number, lambda one: [*one.say(told.GOES_ON, now), *one.thaw(now)], now)
        return commands

    def _told(self, text: str, now: c.Moment) -> list[c.Command]:
        if self.phase is not Phase.LIVE:
            return []
        commands: list[c.Command] = []
        for channel in self._channels.values():
            commands += channel.say(told.told_by_the_plant(text), now)
        return commands

    def _noted(self, what: str, cause: Cause, words: str, now: c.Moment) -> list[c.Command]:
        """In the recording whatever the cause; reported unless control ordered it itself."""
        note = json.dumps({"kind": what, "cause": cause.value, "text": words}, ensure_ascii=False).encode()
        record = c.Record((Frame(FrameKind.NOTE, 0, self.elapsed_us(now), note),))
        return (
            [record] if cause is Cause.ORDER else [record, c.Report(f"session.session.{what}", {"cause": cause.value})]
        )

    def _end(self, reason: str, words: str, now: c.Moment, *, is_broken: bool = False) -> list[c.Command]:
        """The target's leg first, so that no further byte reaches it; then the last words."""
        self.phase = Phase.CLOSING
        self.end_reason = reason
        commands: list[c.Command] = [c.DropTarget()]
        for channel in self._channels.values():
            commands += channel.finish(now)
            if words:
                commands += channel.say(words, now)
        self._channels.clear()
        self.phase = Phase.CLOSED
        return [*commands, c.Close(reason, words, self._exit_status, broken=is_broken)]
