"""The refusals of the host's commands."""


class CommandError(Exception):
    """A command cannot do its work: says in one line what is in the way and what to do."""
