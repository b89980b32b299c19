"""What every test runs under: how many examples a property test gets, and tracebacks in the log that cost little."""

import gc

import structlog
from hypothesis import HealthCheck, settings

# `./dev check` takes quick, all else full. No example has a time limit: a busy machine is not a fault of the code.
settings.register_profile("quick", max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("full")

# The default's coloured tracebacks take seconds for one error deep in a library.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


# What is imported and collected stays to the end: the garbage collector need not look at it again and again.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on there is garbage again."""
    gc.collect()
    gc.freeze()
    gc.enable()
