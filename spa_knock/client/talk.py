"""How a command speaks: data on standard output, talk and questions on standard error, JSON when asked."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import typer

from spa_knock.client.answers import SecretInput
from spa_knock.client.control import ControlLink
from spa_knock.client.errors import ClientError
from spa_knock.client.fields import FieldError
from spa_knock.client.home import Home
from spa_knock.client.invite import MOST_TEXT, PREFIX
from spa_knock.client.language import tr
from spa_knock.client.launch import control_link
from spa_knock.client.vendor_link import Answer, refusal

_from_files = SecretInput()


def show(data: Mapping[str, object], lines: Callable[[Mapping[str, object]], Sequence[str]], *, as_json: bool) -> None:
    """Prints the data as JSON, or the lines made of it. Raises ClientError when the data is not what was promised."""
    if as_json:
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    try:
        text = lines(data)
    except FieldError as error:
        raise ClientError("refused", tr("The site's answer cannot be used"), str(error)) from None
    for line in text:
        typer.echo(line)


def say(text: str, *, quiet: bool) -> None:
    if not quiet:
        typer.echo(text, err=True)


def complain(error: ClientError, *, as_json: bool) -> None:
    """What, why and what to do next, on standard error."""
    if as_json:
        said = {"code": error.code, "what": error.what, "why": error.why, "do": error.do}
        typer.echo(json.dumps({"error": said}, ensure_ascii=False), err=True)
        return
    typer.echo(tr("x {what}: {why}", what=error.what, why=error.why), err=True)
    if error.do:
        typer.echo("  " + tr("Do: {do}", do=error.do), err=True)


def secret(path: str, what: str, *, hidden: bool = True) -> str:
    """A secret from its file, or asked at the terminal. Raises ClientError when there is neither."""
    return _from_files.read(path, what) if path else prompt(what, hidden=hidden)


def prompt(what: str, *, hidden: bool = True) -> str:
    if not sys.stdin.isatty():
        raise ClientError(
            "usage",
            tr("The {what} is missing", what=what),
            tr("there is no terminal to ask at"),
            tr("Give it with an option: --help"),
        )
    return str(typer.prompt(what.capitalize(), hide_input=hidden, err=True))


def new_passphrase(path: str) -> str:
    """A passphrase for the device key from its file, or asked twice. Raises ClientError."""
    chosen = secret(path, tr("new passphrase of the device key"))
    if not path and prompt(tr("the same passphrase again")) != chosen:
        raise ClientError("usage", tr("Nothing was changed"), tr("the two passphrases differ"), tr("Try again"))
    return chosen


def invite_text(given: str) -> str:
    """An invite that was pasted, is in this file, or comes in at `-`. Raises ClientError."""
    if given.startswith(PREFIX):
        return given
    if given == "-":
        return sys.stdin.read(MOST_TEXT + 1)
    try:
        with Path(given).open(encoding="utf-8") as file:
            return file.read(MOST_TEXT + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(
            "usage",
            tr("The invite cannot be read"),
            f"{given[:100]}: {type(error).__name__}",
            tr("Name its file or paste it"),
        ) from None


def call_site(home: Home, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, object]:
    """The body of a successful answer of the site, asked through the agent. Raises ClientError."""
    home.enrolment()
    with control_link(home) as agent:
        return call_through(agent, method, path, body)


def call_through(
    agent: ControlLink, method: str, path: str, body: Mapping[str, object] | None = None
) -> dict[str, object]:
    status, answer = agent.call(method, path, body)
    if status >= 400:
        raise refusal(Answer(status, answer, 0, 0))
    return answer
