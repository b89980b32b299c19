"""The audit trail: events with stable codes, hash-linked, written with the change they tell."""
