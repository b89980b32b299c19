"""The whole site under attack and under failure: real processes as their own ids, real clients, a real target."""
