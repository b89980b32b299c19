"""Periodic work on sessions."""

from broker.sessions.reports import GatewayReports

CLOSE_EVERY_SECONDS = 15


def close_overdue(reports: GatewayReports) -> int:
    """Close sessions that no gateway can hold any more; returns how many. Call it every few seconds."""
    return reports.close_overdue()
