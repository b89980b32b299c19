"""The guard: judges knocks, holds the roster and the anti-replay stamps, never answers the network."""
