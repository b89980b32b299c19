"""Periodic work on access requests."""

from broker.access_requests.service import AccessRequestService

LAPSE_EVERY_SECONDS = 60


def lapse(service: AccessRequestService) -> int:
    """Let every request lapse whose time is over, a batch a transaction; returns how many. Call it every minute."""
    total = 0
    while (lapsed := service.lapse_overdue()) > 0:
        total += lapsed
    return total
