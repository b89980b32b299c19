"""Vendor workstations: invites, enrolment, device certificates and knock keys, trust."""
