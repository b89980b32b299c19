"""Benchmarks that print ratios; not part of the tests. Run them with ./dev bench."""
