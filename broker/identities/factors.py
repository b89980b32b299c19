"""The two factors: Argon2id passwords (RFC 9106) and time-based codes (RFC 6238)."""

import hmac
import os
import threading
from base64 import b64encode
from collections.abc import Sequence
from typing import Final

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from broker.identities.errors import too_many_attempts
from broker.identities.rules import TOTP_STEP_SECONDS

_ISSUER: Final = "Sallyport"
_AT_ONCE: Final = 2
_WAIT_SECONDS: Final = 10.0


class Passwords:
    """Hashes and checks passwords, at most two at once, because each takes 64 MiB; who waits over 10 s is refused."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._nobodys = _hash_of_nothing(self._hasher)

    def hash(self, password: str) -> str:
        """The Argon2id hash of a password, with its own salt. Raises TooMany when too many wait."""
        self._take_turn()
        try:
            return self._hasher.hash(password)
        finally:
            self._turns.release()

    def is_password(self, stored_hash: str | None, password: str) -> bool:
        """Whether this is the password of that hash. Without a hash the same work is done and the answer is no.

        Raises TooMany when too many wait.
        """
        self._take_turn()
        try:
            self._hasher.verify(stored_hash or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        finally:
            self._turns.release()
        return stored_hash is not None

    def _take_turn(self) -> None:
        if not self._turns.acquire(timeout=_WAIT_SECONDS):
            raise too_many_attempts()


def _hash_of_nothing(hasher: PasswordHasher) -> str:
    """A hash in this hasher's form that no known password has: checking against it takes the full work."""
    salt, digest = (b64encode(os.urandom(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len))
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"


def new_totp_secret() -> str:
    """A new seed: 160 bits in base32."""
    return pyotp.random_base32(32)


def totp_uri(secret: str, username: str) -> str:
    """The seed as the URI that authenticators read from a QR code."""
    return pyotp.TOTP(secret, interval=TOTP_STEP_SECONDS).provisioning_uri(name=username, issuer_name=_ISSUER)


def matching_step(secret: str, code: str, steps: Sequence[int]) -> int | None:
    """The one of these time steps whose code this is. Every step is tried, so the time taken tells nothing."""
    digits = code.replace(" ", "")
    plausible = len(digits) == 6 and digits.isascii() and digits.isdigit()
    totp = pyotp.TOTP(secret, interval=TOTP_STEP_SECONDS)
    found: int | None = None
    for step in steps:
        expected = totp.generate_otp(step)
        if hmac.compare_digest(expected.encode(), digits.encode() if plausible else b"") and found is None:
            found = step
    return found
