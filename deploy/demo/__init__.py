"""The demo laboratory: a vendor, a broker, a plant and an office as network namespaces on one machine, and a tour."""
