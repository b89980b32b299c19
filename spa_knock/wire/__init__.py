"""The knock's wire format: keys, packet, gate, replay rule and connection proof. Pure: no socket, no clock, no file."""
