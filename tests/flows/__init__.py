"""Whole ways through the house, with the real services on real stores."""
