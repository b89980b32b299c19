"""What the agent holds in memory between sign-in and sign-out: token, S, and the certificates for S."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from spa_knock.client.agent_protocol import Identity
from spa_knock.client.keys import SessionKey, SshCertificate

_RENEW_SECONDS = 60
"""A certificate with less than this left is replaced before it is used again."""


@dataclass(frozen=True)
class HeldCertificate:
    """A certificate and the grant it was made for."""

    grant_id: str
    target: str
    account: str | None
    certificate: SshCertificate

    def is_current(self, site_seconds: float) -> bool:
        return self.certificate.valid_after <= site_seconds + 5 and (
            site_seconds < self.certificate.valid_before - _RENEW_SECONDS
        )


@dataclass
class Session:
    """One signed-in person. The newest use of any kind keeps it from going idle here; the site counts for itself."""

    token: str = field(repr=False)
    idle_seconds: int
    person: Mapping[str, str]
    site_offset_ms: int
    key: SessionKey = field(default_factory=SessionKey)
    certificates: list[HeldCertificate] = field(default_factory=list)
    used_at: float = 0.0


class Holder:
    """The session, if there is one. Safe to use from several threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._wall = wall
        self._session: Session | None = None

    def sign_in(self, session: Session) -> None:
        with self._lock:
            session.used_at = self._monotonic()
            self._session = session

    def sign_out(self, *, of: Session | None = None) -> None:
        """Forgets token, key and certificates; with `of` only when that session is still the current one."""
        with self._lock:
            if of is None or self._session is of:
                self._session = None

    def current(self) -> Session | None:
        """The session, unless it has been idle for too long: then it is gone."""
        with self._lock:
            return self._alive()

    def use(self) -> Session | None:
        """As `current`, and counts as a use."""
        with self._lock:
            session = self._alive()
            if session is not None:
                session.used_at = self._monotonic()
            return session

    def find(self, target: str, account: str | None) -> HeldCertificate | None:
        """The current certificate for this target (and account, when one is named); it moves to the front."""
        with self._lock:
            session = self._alive()
            if session is None:
                return None
            for held in session.certificates:
                if (
                    held.target.lower() == target.lower()
                    and account in (None, held.account)
                    and self._is_current(session, held)
                ):
                    session.certificates.remove(held)
                    session.certificates.insert(0, held)
                    return held
            return None

    def keep(self, session: Session, held: HeldCertificate) -> None:
        """Puts a new certificate first, in place of an older one of its grant, and forgets those that ran out."""
        with self._lock:
            session.certificates[:] = [
                held,
                *(
                    other
                    for other in session.certificates
                    if other.grant_id != held.grant_id and other.certificate.valid_before > self.site_seconds(session)
                ),
            ]

    def drop(self, session: Session, grant_id: str) -> None:
        """Forgets the certificate of a grant that is no longer open."""
        with self._lock:
            session.certificates[:] = [held for held in session.certificates if held.grant_id != grant_id]

    def identities(self) -> tuple[list[Identity], Callable[[bytes], bytes]]:
        """What the ssh agent lists, newest prepared first, and the signature function that goes with it."""
        with self._lock:
            session = self._alive()
            if session is None:
                return [], _cannot_sign
            now = self.site_seconds(session)
            listed = [
                Identity(held.certificate.blob, f"{held.target} {held.grant_id}")
                for held in session.certificates
                if now < held.certificate.valid_before
            ]
            return listed, session.key.sign

    def site_seconds(self, session: Session) -> float:
        """The site's time, as far as it is known here."""
        return self._wall() + session.site_offset_ms / 1000

    def _is_current(self, session: Session, held: HeldCertificate) -> bool:
        return held.is_current(self.site_seconds(session))

    def _alive(self) -> Session | None:
        session = self._session
        if session is not None and self._monotonic() - session.used_at >= session.idle_seconds:
            self._session = session = None
        return session


def _cannot_sign(_data: bytes) -> bytes:
    raise PermissionError("nobody is signed in")
