"""`sallyport recordings receipt`: what a session's device said of its recording."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from broker.app import console_client
from broker.app.errors import CommandError

app = typer.Typer()


@app.command("receipt")
def recordings_receipt(
    recording: Annotated[str, typer.Argument(help="The recording's id (rec_…).")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the receipt into this file; it must not exist.")
    ] = None,
) -> None:
    """Say whether the session's device gave a receipt; status 1 when it is missing or refused."""
    session = console_client.load(console_client.session_file())
    session_id = json.loads(console_client.get(session, f"/recordings/{recording}"))["session_id"]
    told = json.loads(console_client.get(session, f"/sessions/{session_id}/receipt"))
    if output is not None:
        if told["receipt"] is None:
            raise CommandError(f"{recording}: there is no receipt to write, it is {told['state']}")
        _write_new(output, told["receipt"] + "\n")
    print(" ".join(part for part in (recording, told["state"], told["refusal"], told["at"]) if part))
    if output is not None:
        print(f"{output}: check it with: python -m recorder.verify FILE --receipt {output}")
    if told["state"] in ("missing", "refused"):
        raise typer.Exit(1)


def _write_new(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written ({error.strerror})") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
