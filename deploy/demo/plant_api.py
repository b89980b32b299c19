"""A small client of the plant face's HTTP API, speaking from the office's network namespace."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from deploy.demo import netns
from deploy.demo.lab import BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, OFFICE, Lab

PREFIX = "/api/v1"
COOKIE = "__Host-sallyport"
_TIMEOUT_SECONDS = 20.0

Json = Mapping[str, object]


class PlantApiError(RuntimeError):
    """The site refused: its status, stable code and words."""

    def __init__(self, method: str, path: str, status: int, code: str, detail: str) -> None:
        super().__init__(f"{method} {path}: {status} {code}: {detail}")
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Console:
    """The plant face as the office sees it: TLS is checked against the site's own root."""

    lab: Lab
    site_root: Path

    def ask(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[http.client.HTTPMessage, bytes]:
        """One request on a connection of its own.

        Raises:
            PlantApiError: the answer is a refusal.
            OSError: the console cannot be reached or its certificate is not the site's.
        """
        connection = http.client.HTTPConnection(BROKER_CONSOLE_ADDRESS, CONSOLE_PORT)
        plain = netns.connect(self.lab.namespace(OFFICE), BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, _TIMEOUT_SECONDS)
        trusted = ssl.create_default_context(cafile=str(self.site_root))
        connection.sock = trusted.wrap_socket(plain, server_hostname=BROKER_CONSOLE_ADDRESS)
        origin = f"https://{BROKER_CONSOLE_ADDRESS}:{CONSOLE_PORT}"
        sent = {"Accept": "application/json", "Origin": origin, **(headers or {})}
        content = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        try:
            connection.request(method, path, content, sent)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise _refusal(method, path, answer.status, data)
        return answer.headers, data

    def begin(self, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Ask for a stream of server-sent events, on a connection of its own.

        Raises:
            PlantApiError: the answer is a refusal.
            OSError: the console cannot be reached.
        """
        connection = http.client.HTTPConnection(BROKER_CONSOLE_ADDRESS, CONSOLE_PORT)
        plain = netns.connect(self.lab.namespace(OFFICE), BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, _TIMEOUT_SECONDS)
        trusted = ssl.create_default_context(cafile=str(self.site_root))
        connection.sock = trusted.wrap_socket(plain, server_hostname=BROKER_CONSOLE_ADDRESS)
        connection.request("GET", path, None, {"Accept": "text/event-stream", **headers})
        answer = connection.getresponse()
        if answer.status >= 400:
            raise _refusal("GET", path, answer.status, answer.read())
        return answer

    def leaf_certificate(self) -> bytes:
        """The certificate (DER) that the console shows, after it was checked."""
        trusted = ssl.create_default_context(cafile=str(self.site_root))
        plain = netns.connect(self.lab.namespace(OFFICE), BROKER_CONSOLE_ADDRESS, CONSOLE_PORT, _TIMEOUT_SECONDS)
        with trusted.wrap_socket(plain, server_hostname=BROKER_CONSOLE_ADDRESS) as secured:
            return secured.getpeercert(binary_form=True) or b""

    def begin_activation(self, token: str) -> str:
        """Start somebody's first sign-in; returns the seed of their second factor."""
        _, data = self.ask("POST", f"{PREFIX}/activation/begin", {"token": token})
        return text_of(_object(data), "totp_secret")

    def complete_activation(self, token: str, password: str, code: str) -> str:
        """Set somebody's password and second factor; returns the code that confirms them, "" when none is needed."""
        fields = {"token": token, "password": password, "totp": code}
        _, data = self.ask("POST", f"{PREFIX}/activation/complete", fields)
        return str(_object(data).get("confirmation_code") or "")

    def sign_in(self, username: str, password: str, code: str) -> PlantSession:
        """Sign in; the session is the cookie and its token against forged requests."""
        headers, data = self.ask(
            "POST", f"{PREFIX}/session", {"username": username, "password": password, "totp": code}
        )
        for line in headers.get_all("Set-Cookie") or []:
            name, _, rest = line.partition("=")
            if name.strip() == COOKIE:
                return PlantSession(self, rest.partition(";")[0], text_of(_object(data), "csrf_token"))
        raise PlantApiError("POST", "/session", 200, "no_cookie", "the answer sets no session cookie")


@dataclass(frozen=True)
class PlantSession:
    """A signed-in person's requests."""

    console: Console
    cookie: str
    csrf_token: str

    def get(self, path: str) -> Json:
        """Read an object below the API's prefix."""
        return _object(self.ask("GET", path))

    def items(self, path: str) -> list[Json]:
        """Read the first page of a list."""
        return [cast("Json", item) for item in cast("list[object]", self.get(path)["items"])]

    def text(self, path: str) -> str:
        """Read something that is not JSON."""
        return self.ask("GET", path).decode()

    def stream(self, path: str) -> http.client.HTTPResponse:
        """Begin to read something that does not end by itself; closing the answer closes the connection."""
        return self.console.begin(f"{PREFIX}{path}", {"Cookie": f"{COOKIE}={self.cookie}"})

    def post(self, path: str, body: Json | None = None) -> Json:
        """Do something; an answer without content is an empty object."""
        data = self.ask("POST", path, body or {})
        return _object(data) if data else {}

    def sign_out(self) -> None:
        """End the session."""
        self.ask("DELETE", "/session")

    def ask(self, method: str, path: str, body: Json | None = None) -> bytes:
        """One request of any kind below the API's prefix; returns the answer's content.

        Raises:
            PlantApiError: the answer is a refusal.
        """
        headers = {"Cookie": f"{COOKIE}={self.cookie}"}
        if method != "GET":
            headers["X-CSRF-Token"] = self.csrf_token
        return self.console.ask(method, f"{PREFIX}{path}", body, headers)[1]


def text_of(document: Json, *keys: str) -> str:
    """A text inside nested objects; raises KeyError or TypeError when it is not there."""
    found: object = document
    for key in keys:
        if not isinstance(found, Mapping):
            raise TypeError(f"{key}: not inside an object")
        found = found[key]
    if not isinstance(found, str):
        raise TypeError(f"{'.'.join(keys)}: not a text")
    return found


def _object(data: bytes) -> Json:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise TypeError("the answer is not an object")
    return found


def _refusal(method: str, path: str, status: int, data: bytes) -> PlantApiError:
    try:
        problem = _object(data)
        return PlantApiError(method, path, status, str(problem.get("code")), str(problem.get("detail")))
    except (ValueError, TypeError):
        return PlantApiError(method, path, status, "unknown", data[:200].decode("utf-8", "replace"))
