"""What the opener refuses and what can fail under it.

OpenerError
├── ConfigError   the configuration file is not acceptable; the opener does not start
├── KernelError   the kernel refused a firewall, conntrack or socket operation
└── Refusal       a request that is well framed but not allowed; its code goes back to the peer
"""

import os


class OpenerError(Exception):
    """Any failure of the opener."""


class ConfigError(OpenerError):
    """The configuration file is not acceptable."""


class KernelError(OpenerError):
    """The kernel refused an operation; nothing of its transaction was done."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"{what}: {os.strerror(number)}")
        self.number = number


class Refusal(OpenerError):
    """A request that is not allowed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
