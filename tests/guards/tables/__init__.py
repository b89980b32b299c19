"""The entries, a module for each area."""
