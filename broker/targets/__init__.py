"""Machines that may be reached: zones, targets with pinned host keys, accounts."""
