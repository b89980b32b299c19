import stat
from pathlib import Path

import pyotp

from deploy.demo.people import KELLER, LIN, People

_NOW = 1_800_000_015.0


def test_three_codes_within_one_step_are_all_different_and_rise(tmp_path: Path) -> None:
    person = People(tmp_path / "credentials.json")[LIN]
    person.totp_secret = pyotp.random_base32()
    totp = pyotp.TOTP(person.totp_secret)
    assert [person.code(3, _NOW) for _ in range(3)] == [totp.at(int(_NOW) + 30 * shift) for shift in (-1, 0, 1)]
    assert person.code(3, _NOW + 60) == totp.at(int(_NOW) + 60)


def test_a_code_for_slow_typing_is_still_taken_when_it_is_used(tmp_path: Path) -> None:
    person = People(tmp_path / "credentials.json")[LIN]
    person.totp_secret = pyotp.random_base32()
    assert person.code(20, _NOW) == pyotp.TOTP(person.totp_secret).at(int(_NOW))


def test_the_credentials_file_is_private_and_gives_the_same_people_again(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    people = People(path)
    people[KELLER].totp_secret, people[KELLER].activated = "ABC", True
    people[LIN].last_step = 7
    people.save()
    again = People(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert again[KELLER] == people[KELLER]
    assert again[LIN] == people[LIN]
    assert len({again[role].password for role in (LIN, KELLER)}) == 2


def test_no_secret_shows_in_a_persons_words(tmp_path: Path) -> None:
    person = People(tmp_path / "credentials.json")[LIN]
    person.totp_secret = "SEEDSEED"
    assert person.password not in repr(person)
    assert "SEEDSEED" not in repr(person)
