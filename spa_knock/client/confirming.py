"""The agent's part in two-sided receipts: asks the site about this device's sessions, and confirms those that are over.

The device's connection is enough for it: nobody has to be signed in any more when a session ends.
"""

import contextlib
import http
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from spa_knock.client.errors import ClientError
from spa_knock.client.fields import FieldError, get_text
from spa_knock.client.home import Home
from spa_knock.client.language import tr
from spa_knock.client.receipt_folder import Asked, ReceiptFolder
from spa_knock.client.receipts import Watched, is_over, judged, read_due, watch
from spa_knock.client.vendor_link import VendorLink, refusal
from spa_knock.wire.receipt import Receipt, make
from spa_knock.wire.signature import signer

FIRST_SECONDS: Final = 3.0
"""From a knock to the first question."""
INTERVAL_SECONDS: Final = 15.0
SOON_SECONDS: Final = (0.5, 1.0, 2.0, 4.0)
"""The first waits after an ssh has ended: the plant needs a moment to seal the recording."""
STARTING_SECONDS: Final = 45.0
"""How long after a knock a session may still appear: no door stays open for more than 30 s."""
_LONGEST_SECONDS: Final = 300.0
_MOST_FAILURES: Final = 20
_MOST_CODE: Final = 80


class _NotKeptError(Exception):
    """This computer cannot keep, or not read, what it would have to show later. The cause says why."""

    def __init__(self, cause: ClientError | OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextlib.contextmanager
def _keeping() -> Iterator[None]:
    try:
        yield
    except (ClientError, OSError) as error:
        raise _NotKeptError(error) from error


class Schedule:
    """When the site is asked next, in seconds of a monotonic clock. Pure; for one thread at a time."""

    def __init__(self) -> None:
        self.next_at: float | None = None
        self._starting_until = 0.0
        self._failures = 0
        self._soon: list[float] = []

    def knocked(self, now: float) -> None:
        """A session may begin."""
        self._starting_until = now + STARTING_SECONDS
        self._sooner(now + FIRST_SECONDS)

    def signed_in(self, now: float) -> None:
        """Something may be left over from before."""
        self._sooner(now)

    def left(self, now: float) -> None:
        """An ssh has ended: its session is over, or will be in a moment."""
        first, *self._soon = SOON_SECONDS
        self._sooner(now + first)

    def asked(self, now: float, *, is_open: bool) -> None:
        """The site answered; `is_open`: something runs, or waits for its receipt."""
        self._failures = 0
        if not is_open and now >= self._starting_until:
            self.next_at = None
            return
        self.next_at = now + (self._soon.pop(0) if self._soon else INTERVAL_SECONDS)

    def failed(self, now: float) -> None:
        """It did not: later and later, and not for ever. The next sign-in begins anew."""
        self._failures += 1
        wait = min(INTERVAL_SECONDS * 2**self._failures, _LONGEST_SECONDS)
        self.next_at = now + wait if self._failures < _MOST_FAILURES else None

    def _sooner(self, at: float) -> None:
        self._failures = 0
        self.next_at = at if self.next_at is None else min(self.next_at, at)


class Confirmer:
    """Confirms the sessions of one device whose key is at hand. `clock_ms` is this computer's wall clock."""

    def __init__(
        self,
        home: Home,
        folder: ReceiptFolder,
        link: VendorLink,
        key: Ed25519PrivateKey,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._home = home
        self._folder = folder
        self._link = link
        self._sign = signer(key)
        self._public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._clock_ms = clock_ms

    def confirm(self) -> bool:
        """One round of questions and answers; whether something is left to wait for.

        Raises ClientError, FieldError, OSError; what was confirmed until then stays confirmed. A receipt that cannot be
        kept is not sent and holds up no other; why is raised at the end.
        """
        enrolment = self._home.enrolment()
        answer = self._link.call("GET", "/receipts/due")
        if answer.status == http.HTTPStatus.NOT_FOUND:
            return False  # a site that knows no receipts
        if answer.status != http.HTTPStatus.OK:
            raise refusal(answer)
        is_open = False
        not_kept: ClientError | OSError | None = None
        for told in read_due(answer.body):
            # Nothing is ever signed about another device or for another site.
            if (told.site, told.device_id) == (enrolment.site.audience.hex(), enrolment.device_id):
                try:
                    is_open |= not self._settle(told)
                except _NotKeptError as error:
                    not_kept = error.cause
        if not_kept is not None:
            raise not_kept
        return is_open

    def _settle(self, told: Receipt) -> bool:
        """Takes note of a session, and confirms it when it is over; whether nothing of it is left to do."""
        now_ms = self._clock_ms()
        with _keeping():
            asked = self._folder.asked(told.grant_id)
            before = self._folder.notes().sessions.get(told.session_id)
            if before is not None and before.answer:
                return True
            if not is_over(told, now_ms):
                if asked is not None:
                    seen = watch(before, told, now_ms)
                    self._folder.note(lambda notes: notes.watching(told.session_id, seen))
                return False
            line = self._folder.kept(told.session_id) or self._signed(told, before, asked, now_ms)
        code = self._send(line)
        if code and asked is not None:
            known = before or Watched(told.recording_id, told.signing_key, told.header_sha256, told_at_ms=now_ms)
            with _keeping():
                self._folder.note(lambda notes: notes.watching(told.session_id, replace(known, answer=code)))
        return bool(code)

    def _signed(self, told: Receipt, before: Watched | None, asked: Asked | None, now_ms: int) -> bytes:
        """The line for a session that is over, signed now."""
        target = asked.target if asked is not None else None
        signed = make(judged(before, told, target, now_ms), self._public, self._sign)
        self._folder.note(lambda notes: notes.owning(told.device_id, self._public))
        if asked is not None:
            # Kept before it is sent: what the plant has, this computer can show.
            self._folder.keep(signed)
        return signed.line

    def _send(self, line: bytes) -> str:
        """What the plant answers: a state, or the code of a refusal that will not change; empty: ask again later."""
        answer = self._link.call("POST", "/receipts", {"receipt": line.decode("ascii")})
        if answer.status in (http.HTTPStatus.OK, http.HTTPStatus.CREATED):
            return get_text(answer.body, "state", most=_MOST_CODE)
        refused = refusal(answer)
        if answer.status not in _FINAL:
            raise refused
        return "" if refused.code.endswith("receipt_too_early") else refused.code[:_MOST_CODE]


_FINAL: Final = (http.HTTPStatus.FORBIDDEN, http.HTTPStatus.CONFLICT, http.HTTPStatus.UNPROCESSABLE_ENTITY)


class Confirming:
    """Asks when it is time, in a thread of its own between `start` and `close`."""

    def __init__(self, folder: ReceiptFolder, confirmer: Callable[[], Confirmer | None]) -> None:
        """`confirmer` gives None as long as the device key is locked."""
        self._folder = folder
        self._confirmer = confirmer
        self._trouble: Exception | None = None
        self._schedule = Schedule()
        self._changed = threading.Condition()
        self._round = threading.Lock()
        self._is_closed = False

    @property
    def is_waiting(self) -> bool:
        """Whether the site is to be asked again: then the agent must not end by itself."""
        return self._schedule.next_at is not None

    @property
    def trouble(self) -> str:
        """What went wrong last, in one line for people; empty when nothing did."""
        match self._trouble:
            case None:
                return ""
            case ClientError() as error:
                return error.one_line()
            case OSError() as error:
                what, why = tr("{path} cannot be written", path=self._folder.path), str(error.strerror or error)
                return ClientError("home_damaged", what, why, tr("Make room on the disk")).one_line()
            case error:
                return ClientError("refused", tr("The site's answer cannot be used"), str(error)).one_line()

    def knocked(self, grant_id: str, target: str) -> None:
        """A session may begin: its receipt will be for this grant and target and for nothing else.

        Never fails: a connection does not depend on what can be noted here.
        """
        try:
            self._folder.ask(grant_id, target, time.time_ns() // 1_000_000)
        except (ClientError, OSError) as error:
            self._trouble = error
        with self._changed:
            self._schedule.knocked(time.monotonic())
            self._changed.notify_all()

    def signed_in(self) -> None:
        with self._changed:
            self._schedule.signed_in(time.monotonic())
            self._changed.notify_all()

    def left(self) -> None:
        with self._changed:
            self._schedule.left(time.monotonic())
            self._changed.notify_all()

    def ask_now(self) -> None:
        """One round at once, in this thread; what goes wrong waits for the next."""
        with self._round:
            confirmer = self._confirmer()
            try:
                is_open = confirmer.confirm() if confirmer is not None else False
            except (ClientError, FieldError, OSError) as error:
                self._trouble = error
                with self._changed:
                    self._schedule.failed(time.monotonic())
                return
            self._trouble = None
            with self._changed:
                self._schedule.asked(time.monotonic(), is_open=is_open)

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True, name="confirming").start()

    def close(self) -> None:
        """Ends the thread, at the latest after the round that it is in."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while self._wait():
            self.ask_now()

    def _wait(self) -> bool:
        """Returns when a round is due; False when there will be none any more."""
        with self._changed:
            while not self._is_closed:
                at = self._schedule.next_at
                left = None if at is None else at - time.monotonic()
                if left is not None and left <= 0:
                    return True
                self._changed.wait(left)
            return False
