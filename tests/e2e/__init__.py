"""Tests with real parts: browsers, networks, processes."""
