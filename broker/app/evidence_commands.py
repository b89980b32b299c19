"""`sallyport evidence`: what somebody outside the plant needs to check what he was given."""

import os
from pathlib import Path
from typing import Annotated

import typer

from broker.app.errors import CommandError
from recorder.onefile import one_file

app = typer.Typer(no_args_is_help=True, help="What others need to check recordings without this site.")


@app.callback()
def evidence() -> None:
    """Keeps `verifier` a command of its own while it is the only one."""


@app.command("verifier")
def verifier(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; it must not exist.")],
) -> None:
    """Write the verifier of recordings as one file that needs only Python and the package cryptography."""
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755)
    except OSError as error:
        raise CommandError(f"{output}: cannot be written ({error.strerror})") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(one_file(output.name))
    print(f"{output}: run it with: python3 {output.name} --help")
