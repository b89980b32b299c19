"""Runs one session: feeds events to its machine and carries out the commands, strictly in their order.

Everything that can be done at once is done at once (a record is written before the send behind it); what takes time
(lease, dialling, opening a channel, a hold) runs as a task and comes back as an event.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, assert_never

import structlog

from broker.gateway import contract as c
from broker.gateway.authority import Authority, RecordingFacts
from broker.gateway.channels import Side
from broker.gateway.evidence import Evidence
from broker.gateway.legs import Legs, TargetRefused
from broker.gateway.local_link import PeerRefused, PeerSilent
from broker.gateway.machine import Phase, SessionMachine
from broker.gateway.permits import Admission, BadAnswer, Lease
from broker.gateway.recording_care import HOLD_WHEN_FULL, RecordingCare
from broker.gateway.session_recording import SessionRecording
from recorder.errors import RecordingError
from recorder.live import LiveFeed, Watcher

DIAL_SECONDS: Final = 20.0
OPEN_CHANNEL_SECONDS: Final = 20.0
MOST_STALLED_BYTES: Final = 64 << 20
NO_ROOM_WORDS: Final = "Sallyport: the recording finds no room; nothing passes until it does."
_MOST_CHANNELS: Final = 256

_log = structlog.get_logger("gateway.session")


def read_clocks() -> c.Moment:
    """Now on the wall clock and since boot."""
    return c.Moment(time.time_ns() // 1_000_000, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every session of a gateway shares."""

    authority: Authority
    recordings_dir: Path
    evidence: Evidence
    care: RecordingCare = field(default_factory=RecordingCare)
    clocks: Callable[[], c.Moment] = read_clocks
    random: Callable[[int], bytes] = field(default=secrets.token_bytes)


@dataclass(frozen=True, slots=True)
class Stall:
    """Since when, on the clock since boot, a record waits for room."""

    since_us: int


class SessionDriver:
    """One session from its admission to its `ended`. `run` returns when it is over."""

    def __init__(self, admission: Admission, legs: Legs, around: Surroundings) -> None:
        self.admission = admission
        self._legs = legs
        self._around = around
        self._machine = SessionMachine(around.clocks())
        self._inbox: deque[c.Event] = deque()
        self._busy = False
        self._over = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._recording: SessionRecording | None = None
        self._waiting: deque[c.Command] = deque()
        self._stall: Stall | None = None
        self._channels: deque[int] = deque(maxlen=_MOST_CHANNELS)
        self._closed_flows: set[tuple[int, Side]] = set()
        self._live = LiveFeed()
        self._watchers = 0

    @property
    def session_id(self) -> str:
        return self.admission.session_id

    @property
    def is_over(self) -> bool:
        return self._machine.phase is Phase.CLOSED

    async def run(self) -> None:
        """Carries the session through. Cancelling it ends the session with the reason `gateway_stopped`."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self.feed(c.Admitted(self.admission.permit))
                if not self._around.authority.is_up:
                    self.feed(c.ControlLost())
                await self._over.wait()
                for task in self._running:
                    task.cancel()
        finally:
            if not self.is_over:
                self.feed(c.PermitEnded("gateway_stopped"))
            for timer in self._timers:
                timer.cancel()

    def watch(self) -> Watcher:
        """The frames from now on, for one viewer. Raises FeedEndedError."""
        return self._live.watch()

    def watchers_changed(self, *, by: int) -> None:
        """Somebody watches, or does no longer."""
        self._watchers += by
        self.feed(c.WatchersChanged(self._watchers))

    def feed(self, event: c.Event) -> None:
        """Handles one event now; an event that arises while another is handled waits its turn."""
        self._inbox.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._inbox:
                event = self._inbox.popleft()
                if isinstance(event, c.ChannelRequested):
                    self._channels.append(event.channel)
                self._waiting += self._machine.handle(event, self._around.clocks())
                self._work_off()
        except BaseException:
            # A fault in here must not leave a session that is neither judged nor recorded.
            self._waiting.clear()
            self._legs.drop_target()
            self._legs.drop_client("")
            self._finish("fault", None, broken=True)
            raise
        finally:
            self._busy = False

    def _work_off(self) -> None:
        """Carries out what waits, in its order, up to a record that finds no room."""
        if self._stall is not None and any(isinstance(command, c.Close) for command in self._waiting):
            # The session ends while nothing can be recorded: what was not recorded was not sent, and never is.
            ending = list(self._waiting)
            while not isinstance(ending[0], c.DropTarget):
                del ending[0]
            self._waiting = deque(one for one in ending if isinstance(one, c.DropTarget | c.Message | c.Close))
        while self._waiting:
            if not self._carry_out(self._waiting[0]):
                if self._stall is None:
                    self._waiting.clear()  # the recorder failed: what stands behind an unwritten record is void
                elif sum(len(one.data) for one in self._waiting if isinstance(one, c.Send)) > MOST_STALLED_BYTES:
                    self._inbox.append(
                        c.RecorderFailed("too much was waiting for room", "recording_full", is_whole=True)
                    )
                return
            if self._waiting:
                self._waiting.popleft()

    def tick(self) -> None:
        """Once a second: deadlines, what waits for room, and a signed head when one is due though nothing happens."""
        self.feed(c.Ticked())
        recording = self._recording
        if recording is None or self.is_over:
            return
        now_us = self._machine.elapsed_us(self._around.clocks())
        try:
            recording.tick(now_us)
        except (RecordingError, OSError) as error:
            _log.error("recording_failed", session_id=self.session_id, error=str(error))
            self.feed(_failure(error, is_whole=False))
            return
        if recording.is_sync_due(now_us):
            self._spawn(self._sync(recording, now_us))

    async def _sync(self, recording: SessionRecording, now_us: int) -> None:
        try:
            await recording.sync(now_us)
        except (RecordingError, OSError) as error:
            if not self._over.is_set():
                _log.error("recording_not_synced", session_id=self.session_id, error=str(error))
                self.feed(_failure(error, is_whole=False))

    def _carry_out(self, command: c.Command) -> bool:
        legs = self._legs
        match command:
            case c.Record():
                return self._record(command)
            case c.Send():
                legs.send(command)
            case c.SendEnd():
                legs.send_end(command)
            case c.AskLease():
                if self._open_recording():
                    self._spawn(self._lease())
            case c.Dial(lease):
                self._spawn(self._dial(lease))
            case c.OpenChannel():
                self._spawn(self._open_channel(command))
            case c.Refuse():
                legs.refuse(command)
            case c.Message():
                legs.message(command)
            case c.EndChannel():
                legs.end_channel(command)
            case c.CloseTargetChannel(channel):
                legs.close_target_channel(channel)
            case c.Resize():
                legs.resize(command)
            case c.Signal():
                legs.signal(command)
            case c.Break():
                legs.send_break(command)
            case c.Flow(channel, side, is_open):
                (self._closed_flows.discard if is_open else self._closed_flows.add)((channel, side))
                legs.flow(command)
            case c.StartTimer(channel, token, delay_ms):
                self._start_timer(channel, token, delay_ms)
            case c.AskHold():
                self._spawn(self._hold(command))
            case c.AskRenewal():
                self._spawn(self._renew())
            case c.Report(code, params):
                self._around.authority.report(self.session_id, code, params)
            case c.DropTarget():
                legs.drop_target()
            case c.Close(reason, message, exit_status, broken):
                legs.drop_client(message)
                self._finish(reason, exit_status, broken=broken)
            case _:
                assert_never(command)
        return True

    # -- the recording

    def _open_recording(self) -> bool:
        around = self._around
        try:
            self._recording = SessionRecording(
                self.admission,
                around.recordings_dir,
                around.care,
                around.authority,
                now_ms=around.clocks().wall_ms,
                random=around.random,
            )
        except (RecordingError, OSError, ValueError) as error:
            _log.error("recording_not_opened", session_id=self.session_id, error=str(error))
            self._inbox.append(c.RecorderFailed("it could not be opened"))
            return False
        return True

    def _record(self, command: c.Record) -> bool:
        """False: it is not on file. Then what stands behind it waits (`_stall` is set) or is void."""
        recording = self._recording
        if recording is None:
            self._inbox.appendleft(c.RecorderFailed("it is not open"))
            return False
        try:
            written = recording.append_again() if self._stall is not None else recording.append(command.frames)
        except (RecordingError, OSError, ValueError) as error:
            can_wait = isinstance(error, RecordingError) and error.can_retry
            if can_wait and HOLD_WHEN_FULL in self.admission.permit.duties:
                self._begin_stall(str(error))
                return False
            _log.error("recording_failed", session_id=self.session_id, error=str(error))
            self._stall = None
            self._inbox.appendleft(_failure(error, is_whole=recording.is_whole))
            return False
        self._end_stall()
        self._live.publish(written)
        return True

    def _begin_stall(self, error: str) -> None:
        """Nothing passes any more in either direction, and nothing is lost: commands wait in their order."""
        if self._stall is not None:
            return
        self._stall = Stall(self._around.clocks().boot_us)
        _log.error("recording_stalled", session_id=self.session_id, error=error)
        self._around.authority.report(self.session_id, "recordings.recording.stalled", {"error": error})
        for channel in self._channels:
            for side in Side:
                self._legs.flow(c.Flow(channel, side, open=False))
            # Our own words; they tell nothing of the target, and the recording has the stall's length behind it.
            self._legs.message(c.Message(channel, NO_ROOM_WORDS))

    def _end_stall(self) -> None:
        stall, self._stall = self._stall, None
        if stall is None:
            return
        held_ms = (self._around.clocks().boot_us - stall.since_us) // 1000
        self._around.authority.report(self.session_id, "recordings.recording.resumed", {"held_ms": held_ms})
        self._inbox.append(c.RecorderResumed(held_ms))
        for channel in self._channels:
            for side in Side:
                self._legs.flow(c.Flow(channel, side, open=(channel, side) not in self._closed_flows))

    def _finish(self, reason: str, exit_status: int | None, *, broken: bool) -> None:
        if self._over.is_set():
            return
        facts: RecordingFacts | None = None
        if self._recording is not None:
            now_ms = self._around.clocks().wall_ms
            facts = self._recording.close(self._around.evidence, reason, now_ms, broken=broken)
        self._live.end("session_ended")
        self._around.authority.ended(self.session_id, reason, facts, exit_status)
        _log.info("session_ended", session_id=self.session_id, reason=reason, exit_status=exit_status)
        self._over.set()

    # -- what takes time

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        if self._tasks is None or self._over.is_set():
            work.close()
            return
        task = self._tasks.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _start_timer(self, channel: int, token: int, delay_ms: int) -> None:
        def fired() -> None:
            self._timers.discard(handle)
            self.feed(c.TimerFired(channel, token))

        handle = asyncio.get_running_loop().call_later(delay_ms / 1000, fired)
        self._timers.add(handle)

    async def _lease(self) -> None:
        recording = self._recording
        if recording is None:
            return
        try:
            lease = await self._around.authority.lease(
                self.session_id,
                self.admission.permit.permit_id,
                signing_public=recording.signing_public,
                header_sha256=recording.header_sha256,
                path=recording.file_name,
            )
        except PeerRefused as refusal:
            self.feed(
                c.OpeningFailed("lease_refused", refusal.message or "No credential may be used for this session.")
            )
        except (PeerSilent, BadAnswer) as error:
            _log.error("no_lease", session_id=self.session_id, error=str(error))
            self.feed(c.OpeningFailed("no_lease", "The broker's control does not answer. Try again in a minute."))
        else:
            self.feed(c.Leased(lease))

    async def _dial(self, lease: Lease) -> None:
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                await self._legs.dial(lease)
        except TargetRefused as refusal:
            _log.warning("dial_failed", session_id=self.session_id, code=refusal.code, error=refusal.message)
            self.feed(c.OpeningFailed(refusal.code, refusal.message))
        except TimeoutError:
            self.feed(c.OpeningFailed("target_offline", "The target does not answer."))
        else:
            self.feed(c.Dialed())

    async def _open_channel(self, command: c.OpenChannel) -> None:
        try:
            async with asyncio.timeout(OPEN_CHANNEL_SECONDS):
                await self._legs.open_channel(command)
        except TargetRefused as refusal:
            self.feed(c.ChannelFailed(command.channel, refusal.message))
        except TimeoutError:
            self.feed(c.ChannelFailed(command.channel, "it does not answer"))
        else:
            self.feed(c.ChannelOpened(command.channel))

    async def _hold(self, command: c.AskHold) -> None:
        allowed = await self._around.authority.hold(self.session_id, command.rule_id, command.text)
        self.feed(c.HoldDecided(command.channel, allowed))

    async def _renew(self) -> None:
        not_after_ms = await self._around.authority.renew(self.session_id)
        if not_after_ms is not None:
            self.feed(c.Renewed(not_after_ms))


def _failure(error: Exception, *, is_whole: bool) -> c.RecorderFailed:
    match error:
        case RecordingError(code="no_space"):
            return c.RecorderFailed("no room is left for it", "recording_full", is_whole=is_whole)
        case RecordingError(code="over_budget"):
            return c.RecorderFailed("it has reached its bound", "recording_budget", is_whole=is_whole)
        case _:
            return c.RecorderFailed("the disk or the recorder failed")
