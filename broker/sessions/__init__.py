"""Sessions: the proof that admits one, its record from pending to closed, and the link to the gateway."""
