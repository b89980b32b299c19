"""Two-sided receipts: what a device's key says of a session when it is over, kept by the plant and by the vendor."""
