"""The opener: the only process that may change the firewall. Standard library only; typed verbs; hard ceilings."""
