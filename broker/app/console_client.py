"""The command line's way to the plant face: signs a person in and keeps the session in a file only they can read."""

import contextlib
import http.client
import json
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_TIMEOUT_SECONDS: Final = 30.0
_ANSWER_BYTES: Final = 256 * 1024 * 1024
_COOKIE: Final = "__Host-sallyport"


class ConsoleError(Exception):
    """The console did not do what was asked: what happened, and what to do next."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class ConsoleSession:
    """A signed-in session, as the file keeps it."""

    console: str
    root_pem: str
    cookie: str
    csrf_token: str
    display_name: str


def session_file() -> Path:
    """Where the session is kept."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "sallyport" / "console-session.json"


def save(session: ConsoleSession, path: Path) -> None:
    """Keep the session, readable by this user alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(session.__dict__, file)
    temporary.replace(path)


def load(path: Path) -> ConsoleSession:
    """The session that was kept.

    Raises ConsoleError when nobody is signed in.
    """
    try:
        return ConsoleSession(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise ConsoleError("nobody is signed in here: run 'sallyport sign-in' first", "not_signed_in") from None


def sign_in(console: str, root_pem: str, username: str, password: str, totp: str) -> ConsoleSession:
    """Sign a person in.

    Raises ConsoleError with the console's words when it refuses.
    """
    body = json.dumps({"username": username, "password": password, "totp": totp}).encode()
    with contextlib.closing(_connection(console, root_pem)) as connection:
        answer = _ask(connection, "POST", "/api/v1/session", body, {})
        content = _content(answer)
        cookie = _cookie_of(answer.headers.get_all("Set-Cookie") or [])
    document = json.loads(content)
    name = document["person"]["display_name"]
    return ConsoleSession(console, root_pem, cookie, document["csrf_token"], name)


def get(session: ConsoleSession, path: str) -> bytes:
    """Read something; path begins below /api/v1."""
    with contextlib.closing(_connection(session.console, session.root_pem)) as connection:
        return _content(_ask(connection, "GET", f"/api/v1{path}", None, {"Cookie": f"{_COOKIE}={session.cookie}"}))


def post(session: ConsoleSession, path: str, body: object) -> bytes:
    """Ask for something to be done; path begins below /api/v1."""
    headers = {"Cookie": f"{_COOKIE}={session.cookie}", "X-CSRF-Token": session.csrf_token}
    with contextlib.closing(_connection(session.console, session.root_pem)) as connection:
        return _content(_ask(connection, "POST", f"/api/v1{path}", json.dumps(body).encode(), headers))


def sign_out(session: ConsoleSession) -> None:
    """End the session at the console."""
    headers = {"Cookie": f"{_COOKIE}={session.cookie}", "X-CSRF-Token": session.csrf_token}
    with contextlib.closing(_connection(session.console, session.root_pem)) as connection:
        _content(_ask(connection, "DELETE", "/api/v1/session", None, headers))


def _connection(console: str, root_pem: str) -> http.client.HTTPSConnection:
    parts = urlsplit(console)
    if parts.scheme != "https" or not parts.hostname:
        raise ConsoleError(f"the console's address looks like https://10.20.0.10:8443, not {console!r}")
    context = ssl.create_default_context(cadata=root_pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return http.client.HTTPSConnection(parts.hostname, parts.port or 443, timeout=_TIMEOUT_SECONDS, context=context)


def _ask(
    connection: http.client.HTTPSConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> http.client.HTTPResponse:
    sent = {"Accept": "application/json", **headers}
    if body is not None:
        sent["Content-Type"] = "application/json"
    try:
        connection.request(method, path, body, sent)
        return connection.getresponse()
    except ssl.SSLCertVerificationError as error:
        raise ConsoleError(
            f"the console's certificate is not signed by the given site root ({error.verify_message}): "
            "check --console and --site-root"
        ) from None
    except OSError as error:
        raise ConsoleError(
            f"the console does not answer ({error}): is this machine on the management network?"
        ) from None


def _content(answer: http.client.HTTPResponse) -> bytes:
    content = answer.read(_ANSWER_BYTES + 1)
    if len(content) > _ANSWER_BYTES:
        raise ConsoleError("the answer is larger than 256 MiB")
    if answer.status < 400:
        return content
    try:
        document = json.loads(content)
        raise ConsoleError(str(document["detail"]), str(document["code"]))
    except (ValueError, KeyError, TypeError):
        raise ConsoleError(f"the console answered with status {answer.status}") from None


def _cookie_of(headers: list[str]) -> str:
    for header in headers:
        name, _, rest = header.partition("=")
        if name == _COOKIE:
            return rest.partition(";")[0]
    raise ConsoleError("the console gave no session")
