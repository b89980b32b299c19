"""How many examples a property test tries when it names a number of its own."""

from hypothesis import settings


def examples(full: int) -> settings:
    """This many examples under the full profile, and under another one the share of them that its own count is."""
    share = settings().max_examples / settings.get_profile("full").max_examples
    return settings(max_examples=max(5, round(full * share)))
