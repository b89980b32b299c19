"""Periodic work on grants."""

from broker.grants.service import GrantService

EXPIRE_EVERY_SECONDS = 5


def expire(service: GrantService) -> int:
    """Expire every grant whose window has ended, a batch a transaction; returns how many. Call it every few seconds."""
    total = 0
    while (expired := service.expire_over()) > 0:
        total += expired
    return total
