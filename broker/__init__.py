"""The access broker: control plane, gateway and protocols."""
