"""`sallyport evidence`: what somebody outside the plant needs to check what he was given."""

import base64
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from broker.app import console_client, keys, settings
from broker.app.cli import DEFAULT_CONFIG
from broker.app.errors import CommandError
from recorder.errors import DamagedRecordingError
from recorder.masking import open_part
from recorder.onefile import one_file
from recorder.seal import KEY_BYTES, SealedKey, generate_recipient

app = typer.Typer(no_args_is_help=True, help="What others need to check recordings without this site.")


@app.command("verifier")
def verifier(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; it must not exist.")],
) -> None:
    """Write the verifier of recordings as one file that needs only Python and the package cryptography."""
    _write_new(output, one_file(output.name), 0o755)
    print(f"{output}: run it with: python3 {output.name} --help")


@app.command("auditor-key")
def auditor_key(
    output: Annotated[Path, typer.Option("--output", "-o", help="The private key's file; keep it off this site.")],
) -> None:
    """Make an auditor's key for typed input that no screen showed. Its public half goes into recordings.unmask_keys."""
    private, public = generate_recipient()
    _write_new(output, private.hex() + "\n", 0o600)
    print(f"{output}: keep this file offline; the other auditor has another one.")
    print(f"public key: {public.hex()}")


@app.command("receipt-key")
def receipt_key(
    config: Annotated[Path, typer.Option("--config", help="The site's settings file.")] = DEFAULT_CONFIG,
) -> None:
    """Make the archive's key for receipts, for a site that is older than its object store or was restored."""
    if os.geteuid() != 0:
        raise CommandError("the key is given to the archive's user: run it as root")
    made = keys.make_receipt_key(settings.load(config))
    print("The archive has a new key: restart it." if made else "The archive has its key already.")


@app.command("unmask")
def unmask(
    recording: Annotated[str, typer.Argument(help="The recording's id (rec_…).")],
    key: Annotated[Path, typer.Option("--key", help="Your own auditor's key; it does not leave this machine.")],
) -> None:
    """Hand in your part of the key to typed input that no screen showed. The second auditor of two reads it."""
    private = _private_key(key)
    session = console_client.load(console_client.session_file())
    path = f"/recordings/{recording}/masked"
    parts = json.loads(console_client.get(session, path))["parts"]
    for index, part in enumerate(parts):
        sealed = SealedKey(
            bytes.fromhex(part["auditor_key"]),
            base64.b64decode(part["ephemeral_public_b64"]),
            base64.b64decode(part["sealed_b64"]),
        )
        try:
            opened = open_part(sealed, private, recording, index)
        except DamagedRecordingError:
            continue
        body = {"part": index + 1, "secret_b64": base64.b64encode(opened).decode()}
        answer = json.loads(console_client.post(session, path, body))
        if answer["state"] == "waiting":
            print("Your part is handed in. The other auditor has 15 minutes to hand in theirs, and reads then.")
        for item in answer["items"]:
            print(f"{item['at_ms'] / 1000:10.3f} s  channel {item['channel']}  {item['text']!r}")
        return
    raise CommandError(f"{key}: this recording's masked input is not sealed to this key")


def _private_key(path: Path) -> bytes:
    try:
        private = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError):
        private = b""
    if len(private) != KEY_BYTES:
        raise CommandError(f"{path}: not an auditor's key; 'sallyport evidence auditor-key' makes one")
    return private


def _write_new(path: Path, text: str, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written ({error.strerror})") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
