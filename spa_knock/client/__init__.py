"""The vendor engineer's client: the `sally` command, `sally-helper` for ssh, and the agent that holds the keys."""
