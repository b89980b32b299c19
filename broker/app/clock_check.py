"""The doctor's look at the clock: knocks, one-time codes, certificates and evidence all depend on it."""

import ctypes
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.app.finding import Finding, State

_UNSYNCHRONISED: Final = 0x40
_TIME_ERROR: Final = 5
_LARGEST_ERROR_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Discipline:
    """What the kernel knows of its clock: whether something keeps it right, and how far off it may be."""

    is_synchronised: bool
    largest_error_seconds: float


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), with room for its tail."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def discipline() -> Discipline | None:
    """The kernel's answer; None when it gives none. Changes nothing (modes 0)."""
    found = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(found))
    if state < 0:
        return None
    return Discipline(state != _TIME_ERROR and not found.status & _UNSYNCHRONISED, found.maxerror / 1e6)


def examine(now: datetime, made_at: datetime) -> list[Finding]:
    """The findings about this machine's clock. `made_at`: when the site's keys were made."""
    return [judge(now, made_at, discipline())]


def judge(now: datetime, made_at: datetime, kept: Discipline | None) -> Finding:
    """Whether the clock can be right."""
    words = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    do = "Have a time service (chrony, systemd-timesyncd) keep the clock from a source of the plant"
    if now < made_at:
        return Finding("clock", State.FAILED, f"{words} is before the site's keys were made", do)
    if kept is None or not kept.is_synchronised:
        return Finding("clock", State.WARNING, f"{words}, kept by no time service", do)
    if kept.largest_error_seconds > _LARGEST_ERROR_SECONDS:
        return Finding("clock", State.WARNING, f"{words}, by up to {kept.largest_error_seconds:.0f} s wrong", do)
    return Finding("clock", State.OK, f"{words}, kept by a time service")
