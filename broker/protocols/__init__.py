"""One folder a protocol; each names itself in its `spec` module as `SPEC`."""
