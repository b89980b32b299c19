"""The outside world behind ports: database, sealing, bus."""
