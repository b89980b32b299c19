"""Where recording files lie."""
