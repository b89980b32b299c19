import pyotp
import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from broker.identities.factors import Passwords, matching_step, new_totp_secret, totp_uri
from broker.identities.rules import acceptable_steps, totp_step
from broker.identities.testing import NOON, SEED, cheap_passwords, code_at


def test_a_password_is_kept_as_argon2id_and_only_itself_fits() -> None:
    passwords = Passwords()
    stored = passwords.hash("correct horse battery")
    assert stored.startswith("$argon2id$")
    assert passwords.is_password(stored, "correct horse battery")
    assert not passwords.is_password(stored, "correct horse batterz")


@pytest.mark.parametrize("costs", [{"time_cost": 1, "memory_cost": 8, "parallelism": 1}, {}])
def test_nobody_is_checked_with_the_same_work_and_never_fits(costs: dict[str, int]) -> None:
    class Watched(PasswordHasher):
        checked: list[str | bytes] = []  # noqa: RUF012 - a new class in each test

        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - argon2's own name
            self.checked.append(hash)
            with pytest.raises(VerifyMismatchError):  # worked through, and not refused for its form
                super().verify(hash, password)
            raise VerifyMismatchError

    hasher = Watched(**costs)
    passwords = Passwords(hasher)
    assert not passwords.is_password(None, "nobody's password")
    (checked,) = hasher.checked
    assert isinstance(checked, str)
    assert extract_parameters(checked) == extract_parameters(hasher.hash("somebody's password"))


def test_a_damaged_hash_fits_nothing() -> None:
    assert not cheap_passwords().is_password("not a hash", "whatever it is")


def test_a_code_names_its_step() -> None:
    present = totp_step(NOON)
    assert matching_step(SEED, code_at(NOON), acceptable_steps(NOON, None)) == present
    assert matching_step(SEED, f"{code_at(NOON)[:3]} {code_at(NOON)[3:]}", [present]) == present


@pytest.mark.parametrize("code", ["", "12345", "abcdef", "１２３４５６", "1234567"])
def test_what_is_no_code_fits_no_step(code: str) -> None:
    assert matching_step(SEED, code, acceptable_steps(NOON, None)) is None


def test_a_used_step_does_not_fit_again() -> None:
    assert matching_step(SEED, code_at(NOON), acceptable_steps(NOON, totp_step(NOON))) is None


def test_a_new_seed_has_160_bits_and_a_uri_that_authenticators_read() -> None:
    seed = new_totp_secret()
    assert len(pyotp.TOTP(seed).byte_secret()) == 20
    assert totp_uri(seed, "wang.wei").startswith("otpauth://totp/Sallyport:wang.wei?secret=")
