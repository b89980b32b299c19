"""SSH: terminates the engineer's connection and opens its own to the target."""
