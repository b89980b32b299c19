"""The console in a real browser, against an honest stand-in for the plant API."""
