"""The only way in: firewall rules that let nobody but the broker reach management ports, and their proof."""
