"""Asking for access: request, four-eyes approval, refusal, withdrawal, lapse."""
