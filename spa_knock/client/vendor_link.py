"""HTTP to the vendor face: knock, TCP, proof, TLS 1.3 with the device's certificate, then requests."""

import contextlib
import http
import http.client
import json
import os
import secrets
import select
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from spa_knock.client.connecting import Trace, connect_within
from spa_knock.client.errors import ClientError, Exit
from spa_knock.client.fields import FieldError, as_object
from spa_knock.client.knocking import VENDOR_FACE_DOOR, Approach, Knocker
from spa_knock.client.language import tr
from spa_knock.client.site import Site

PREFIX = "/vendor/v1"
_ANSWER_SECONDS = 20.0
_HANDSHAKE_SECONDS = 6.0
_REUSE_SECONDS = 45.0
_ALERT_SECONDS = 2.0
_MOST_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What the site answered, and when the request left and its answer came (this computer's clock)."""

    status: int
    body: Mapping[str, object]
    sent_at_ms: int
    received_at_ms: int


def tls_context(site: Site, certificate_path: Path, key_path: Path) -> ssl.SSLContext:
    """Trusts the site's pinned root and nothing else; speaks TLS 1.3 only; shows our certificate."""
    context = _context(site)
    context.load_cert_chain(certificate_path, key_path)
    return context


def tls_context_of_memory(site: Site, certificate_pem: str, key_pem: str, folder: Path) -> ssl.SSLContext:
    """As `tls_context`, for a key that has no file of its own: the library reads files only, so one exists for a
    moment.

    `folder` must be private; the file in it is 0600 and gone when this returns.
    """
    with _for_a_moment(folder, (key_pem + "\n" + certificate_pem).encode()) as path:
        return tls_context(site, path, path)


def tls_context_of_key(site: Site, certificate_path: Path, key: Ed25519PrivateKey, folder: Path) -> ssl.SSLContext:
    """As `tls_context`, for a key that lies locked on the disk: what the library reads is encrypted under a password
    that exists here only, and gone when this returns.
    """
    password = secrets.token_bytes(32).hex()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
    context = _context(site)
    with _for_a_moment(folder, pem) as path:
        context.load_cert_chain(certificate_path, path, password)
    return context


@contextlib.contextmanager
def _for_a_moment(folder: Path, content: bytes) -> Iterator[Path]:
    """A private file that is closed while it is used: not every system opens one twice."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=".tls-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _context(site: Site) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=site.root_pem)
    return context


class VendorLink:
    """One connection at a time, used again while it is good. Safe to use from several threads: calls queue."""

    def __init__(self, site: Site, knocker: Knocker, bind: bytes, context: ssl.SSLContext) -> None:
        self._site = site
        self._knocker = knocker
        self._bind = bind
        self._context = context
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0
        self.local_address: str | None = None
        self.errors_seen: frozenset[int] = frozenset()

    def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, token: str | None = None
    ) -> Answer:
        """One request and its JSON answer, whatever its status. `path` begins with a slash, after `/vendor/v1`.

        A reused connection that turns out to be dead is replaced once, for GET only: a POST may have arrived. Raises
        ClientError when the site does not answer or cannot prove itself.
        """
        with self._lock:
            if (reused := self._reusable()) is not None:
                try:
                    return self._exchange(reused, method, path, body, token)
                except (OSError, http.client.HTTPException) as error:
                    self._drop()
                    if method != "GET":
                        raise _broke_off(error) from None
            connection = self._open()
            try:
                return self._exchange(connection, method, path, body, token)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                raise _broke_off(self._told_cause(error)) from None

    def reach(self) -> float:
        """Opens a fresh connection, TLS included; returns the seconds it took. Raises ClientError."""
        with self._lock:
            self._drop()
            begun_at = time.monotonic()
            self._open()
            return time.monotonic() - begun_at

    def _told_cause(self, error: Exception) -> Exception:
        """The alert behind a connection that was reset before it answered.

        A front that refuses our certificate says so after the handshake, but our request, still unread there, turns its
        goodbye into a reset that overtakes the alert. A second connection on which nothing is sent hears it.
        """
        if not isinstance(error, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return error
        try:
            connection = self._open()
            connection.sock.settimeout(_ALERT_SECONDS)
            connection.sock.recv(1)
        except ssl.SSLError as alert:
            return alert
        except (OSError, ClientError):
            return error
        finally:
            self._drop()
        return error

    def close(self) -> None:
        with self._lock:
            self._drop()

    def use(self, context: ssl.SSLContext) -> None:
        """Shows another certificate of the same key from now on."""
        with self._lock:
            self._drop()
            self._context = context

    def _reusable(self) -> http.client.HTTPConnection | None:
        connection = self._connection
        if connection is None or connection.sock is None:
            return None
        fresh = time.monotonic() - self._used_at < _REUSE_SECONDS
        # Whatever is readable between two requests is the end of the connection.
        if fresh and not select.select([connection.sock], [], [], 0)[0]:
            return connection
        self._drop()
        return None

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> http.client.HTTPConnection:
        self._drop()
        broken: str | None = None
        errors: set[int] = set()
        for approach in self._knocker.approaches(self._site.vendor_face):
            try:
                tls = self._approach(approach, errors)
            except ssl.SSLCertVerificationError as error:
                raise ClientError(
                    "site_not_proved",
                    tr("{name} could not prove that it is the enrolled site", name=self._site.name),
                    tr("its certificate was refused: {verify_message}", verify_message=error.verify_message),
                    tr("Tell the plant's administrator; do not go on by another way"),
                ) from None
            except OSError as error:
                broken = type(error).__name__
                continue
            if tls is not None:
                connection = http.client.HTTPConnection(self._site.vendor_name, 80, timeout=_ANSWER_SECONDS)
                connection.auto_open = 0  # never a connection of its own, which would be without knock and TLS
                connection.sock = tls
                tls.settimeout(_ANSWER_SECONDS)
                self._connection = connection
                self.local_address = str(tls.getsockname()[0])
                return connection
        raise self._silence(broken, errors)

    def _approach(self, approach: Approach, errors: set[int]) -> ssl.SSLSocket | None:
        knock, trace = self._knocker.knock(VENDOR_FACE_DOOR, approach, bind=self._bind), Trace()
        try:
            connected = connect_within(approach.address, approach.port, approach.seconds, trace)
        finally:
            errors |= trace.errors
            if knock.copies is not None:
                knock.copies.stop()
        if connected is None:
            return None
        connected.settimeout(_HANDSHAKE_SECONDS)
        try:
            connected.sendall(knock.proof)
            tls = self._context.wrap_socket(connected, server_hostname=self._site.vendor_name)
        except BaseException:
            connected.close()
            raise
        self._knocker.came_through(knock, approach, trace)
        return tls

    def _silence(self, broken: str | None, errors: set[int]) -> ClientError:
        self.errors_seen = frozenset(errors)
        if broken is None:
            return self._knocker.nobody_answered(self._site.name, errors)
        return ClientError(
            "no_answer",
            tr("{name} opened its door and then broke off", name=self._site.name),
            tr(
                "the TLS handshake ended with {broken}: the site may be restarting, or it no longer knows this device",
                broken=broken,
            ),
            tr("Try again in a minute, then run: sally doctor"),
        )

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        token: str | None,
    ) -> Answer:
        headers = {"Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        payload = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            payload = json.dumps(body).encode()
        sent_at_ms = time.time_ns() // 1_000_000
        connection.request(method, PREFIX + path, payload, headers)
        response = connection.getresponse()
        data = response.read(_MOST_BODY_BYTES + 1)
        if len(data) > _MOST_BODY_BYTES:
            raise http.client.HTTPException("the answer is too long")
        received_at_ms = time.time_ns() // 1_000_000
        self._used_at = time.monotonic()
        return Answer(response.status, _json_of(data), sent_at_ms, received_at_ms)


def _json_of(data: bytes) -> Mapping[str, object]:
    if not data:
        return {}
    try:
        return as_object(json.loads(data))
    except FieldError:
        raise http.client.HTTPException("the answer is not an object") from None
    except (ValueError, RecursionError):
        raise http.client.HTTPException("the answer is not JSON") from None


def _broke_off(error: Exception) -> ClientError:
    """In TLS 1.3 a refused client certificate shows only when the first answer is read."""
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "").upper():
        return ClientError(
            "device_not_trusted",
            tr("The site refused this computer's certificate"),
            tr("the device is not trusted, suspended, retired, or its certificate has run out"),
            tr("Ask the plant's administrator about this device"),
        )
    if isinstance(error, TimeoutError):
        why = tr("nothing came for {answer_seconds:.0f} s", answer_seconds=_ANSWER_SECONDS)
    else:
        why = tr("the connection broke off ({name})", name=type(error).__name__)
    return ClientError("no_answer", tr("The site did not answer the request"), why, tr("Try again in a minute"))


def refusal(answer: Answer) -> ClientError:
    """A problem document (RFC 9457) as the client's own error."""
    code = _text(answer.body, "code") or (
        "not_signed_in" if answer.status == http.HTTPStatus.UNAUTHORIZED else "refused"
    )
    why = (
        _text(answer.body, "detail")
        or _text(answer.body, "title")
        or tr("it answered with HTTP status {status}", status=answer.status)
    )
    said = _saying(code)
    what, do = said or (tr("The site refused"), "")
    exit_code = None if said else _EXIT_OF_STATUS.get(answer.status)
    return ClientError(code, what, (why + _fields(answer.body)).rstrip(".\u3002"), do, exit_code=exit_code)


def _text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    return value[:500] if isinstance(value, str) and value else None


def _fields(body: Mapping[str, object]) -> str:
    """The first few fields that a problem document complains about."""
    listed = body.get("errors")
    if not isinstance(listed, list):
        return ""
    named = [entry for entry in listed[:3] if isinstance(entry, dict)]
    return "".join(f" ({_text(entry, 'pointer') or '?'}: {_text(entry, 'message') or '?'})" for entry in named)


_EXIT_OF_STATUS: Mapping[int, Exit] = {
    http.HTTPStatus.UNAUTHORIZED: Exit.NOT_SIGNED_IN,
    http.HTTPStatus.FORBIDDEN: Exit.DENIED,
    http.HTTPStatus.SERVICE_UNAVAILABLE: Exit.UNREACHABLE,
}


def _saying(code: str) -> tuple[str, str] | None:
    """What a refusal of this code means here, and what to do; None when only the site knows."""
    match code:
        case "not_signed_in":
            return tr("Not signed in"), tr("Run: sally login")
        case "not_approved_yet":
            return tr("Not allowed yet"), tr("Run: sally requests")
        case "denied":
            return tr("Not allowed"), tr("Ask the plant, or make a new request")
        case "outside_window":
            return tr("Not now"), tr("Run: sally requests")
        case "device_not_trusted":
            return (
                tr("This computer is not trusted yet"),
                tr("Read its short code to the plant's administrator: sally status"),
            )
        case "not_found":
            return tr("Not there"), tr("Run: sally targets")
        case "invalid":
            return tr("The site did not accept this"), tr("Check what you typed")
        case _:
            return None
