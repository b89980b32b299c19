"""Target credentials, sealed and bound to their target; leases of them, one for each session."""
