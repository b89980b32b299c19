"""Machines that may be reached through the broker."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class Protocol(Enum):
    """How a target is spoken to."""

    SSH = "ssh"


@dataclass(frozen=True)
class Zone:
    """A part of the plant's network."""

    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True)
class Account:
    """A user name on a target."""

    id: str
    target_id: str
    username: str


@dataclass(frozen=True)
class Target:
    """One machine in one zone, its address and its pinned host key. It has no method to connect: a permit does.

    `host_key` is one normalised OpenSSH public key line (type and base64, no comment).
    """

    id: str
    name: str
    zone_id: str
    zone_name: str
    address: str
    port: int
    protocol: Protocol
    host_key: str
    description: str
    accounts: tuple[Account, ...]
    created_at: datetime
    retired_at: datetime | None

    @property
    def is_retired(self) -> bool:
        """Whether it is out of use for good: its history is read, and nothing else."""
        return self.retired_at is not None

    def account_named(self, username: str) -> Account | None:
        """The account of that user name, if the target has it."""
        return next((account for account in self.accounts if account.username == username), None)
