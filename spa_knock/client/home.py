"""The client home on disk: one device at one site. Folders 0700, files 0600, every write whole or not at all."""

import base64
import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spa_knock.client.errors import ClientError
from spa_knock.client.fields import (
    FieldError,
    as_object,
    get_bytes,
    get_day_keys,
    get_int,
    get_object,
    get_optional_text,
    get_text,
    put_day_keys,
)
from spa_knock.client.language import tr
from spa_knock.client.places import run_dir
from spa_knock.client.site import Site, site_from_object
from spa_knock.client.system import is_folder, is_ours_alone, set_mode, try_lock

_MOST_FILE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Enrolment:
    """`site.json`: the site, this device there, and who signed in last.

    `short_code` is what the engineer reads aloud so that the plant can trust the device; the first sign-in drops it.
    """

    site: Site
    device_id: str
    device_name: str
    short_code: str | None = None
    username: str | None = None


@dataclass(frozen=True)
class KnockState:
    """`knock.json`: what a knock is made of. `last_stamp_ms` only rises; it is stored before the knock leaves.

    `seen_from` is the pair (local address, address the site saw) of the last login: behind the same local address a
    knock can name the public one, which makes it useless to a thief.

    `knock_port` is the UDP port that worked last; `reached_at_ms` is the site's time when a door last opened, and
    `reached_from` the local address then: what explains a later silence.
    """

    knock_key: bytes = field(repr=False)
    day_keys: Mapping[int, bytes] = field(repr=False)
    last_stamp_ms: int = 0
    clock_offset_ms: int = 0
    seen_from: tuple[str, str] | None = None
    knock_port: int | None = None
    reached_at_ms: int = 0
    reached_from: str | None = None


class Home:
    """Reads and writes the files of one client home. Nothing is cached."""

    def __init__(self, path: Path, environ: Mapping[str, str] = os.environ) -> None:
        self.path = path
        self.run_path = run_dir(path, environ)
        self.key_path = path / "device.key"
        self.certificate_path = path / "device.pem"
        self.next_certificate_path = path / "device.next.pem"
        self.known_hosts_path = path / "known_hosts"
        self.ssh_config_path = path / "ssh_config"

    def prepare(self) -> None:
        """Makes the home, or checks that nobody else can read it. Raises ClientError."""
        private_folder(self.path)

    def is_enrolled(self) -> bool:
        return (self.path / "site.json").exists()

    def enrolment(self) -> Enrolment:
        """Raises ClientError when this home holds no enrolled device."""
        if not self.is_enrolled():
            raise ClientError(
                "not_enrolled",
                tr("This computer is not enrolled"),
                tr("there is no device in {path}", path=self.path),
                tr("Ask the plant for an invite, then run: sally enroll INVITE"),
            )
        source = self._read("site.json")
        with self._valid("site.json"):
            return Enrolment(
                site=site_from_object(get_object(source, "site")),
                device_id=get_text(source, "device_id", most=64),
                device_name=get_text(source, "device_name", most=100),
                short_code=get_optional_text(source, "short_code", most=40),
                username=get_optional_text(source, "username", most=200),
            )

    def take_next_certificate(self) -> bool:
        """Puts a renewed certificate in the place of the old one; whether there was one."""
        try:
            self.next_certificate_path.replace(self.certificate_path)
        except FileNotFoundError:
            return False
        return True

    def write_enrolment(self, enrolment: Enrolment) -> None:
        document = {
            "v": 1,
            "site": enrolment.site.to_object(),
            "device_id": enrolment.device_id,
            "device_name": enrolment.device_name,
            "short_code": enrolment.short_code,
            "username": enrolment.username,
        }
        write_private(self.path / "site.json", _json(document))

    def knock_state(self) -> KnockState:
        source = self._read("knock.json")
        with self._valid("knock.json"):
            local, seen = get_optional_text(source, "seen_from_local"), get_optional_text(source, "seen_from")
            return KnockState(
                knock_key=get_bytes(source, "knock_key_b64", length=32),
                day_keys=get_day_keys(source),
                last_stamp_ms=get_int(source, "last_stamp_ms"),
                clock_offset_ms=get_int(source, "clock_offset_ms", least=-(2**53)),
                seen_from=(local, seen) if local and seen else None,
                knock_port=get_int({"knock_port": 0, **source}, "knock_port", most=65535) or None,
                reached_at_ms=get_int({"reached_at_ms": 0, **source}, "reached_at_ms"),
                reached_from=get_optional_text(source, "reached_from", most=64),
            )

    def write_knock_state(self, state: KnockState) -> None:
        local, seen = state.seen_from or (None, None)
        document = {
            "v": 1,
            "knock_key_b64": base64.b64encode(state.knock_key).decode(),
            "day_keys": put_day_keys(state.day_keys),
            "last_stamp_ms": state.last_stamp_ms,
            "clock_offset_ms": state.clock_offset_ms,
            "seen_from_local": local,
            "seen_from": seen,
            "knock_port": state.knock_port or 0,
            "reached_at_ms": max(0, state.reached_at_ms),
            "reached_from": state.reached_from,
        }
        write_private(self.path / "knock.json", _json(document))

    def _read(self, name: str) -> Mapping[str, object]:
        path = self.path / name
        with self._valid(name):
            data = read_private(path)
            try:
                return as_object(json.loads(data))
            except RecursionError:
                raise FieldError(tr("nested too deeply")) from None

    @contextlib.contextmanager
    def _valid(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            why = tr("it is missing")
        except ValueError as error:
            why = str(error) if isinstance(error, FieldError) else tr("it is not JSON")
        else:
            return
        raise ClientError(
            "home_damaged",
            tr("The client's file {path} cannot be used", path=self.path / name),
            why,
            tr("Restore it, or enrol again with a new invite: sally enroll --replace INVITE"),
        )


@contextlib.contextmanager
def locked(home: Home) -> Iterator[None]:
    """Holds the home's lock, so that stamps have one writer. Raises ClientError when another agent holds it."""
    # Never inherited: Python opens everything close-on-exec.
    handle = os.open(home.path / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not try_lock(handle):
            raise ClientError("already_running", tr("No second agent"), tr("one already serves {path}", path=home.path))
        yield
    finally:
        os.close(handle)


def private_folder(path: Path) -> None:
    """Makes the folder 0700, or checks that it is ours and nobody else's. Raises ClientError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not is_folder(found) or not is_ours_alone(found):
        raise ClientError(
            "home_not_private",
            tr("The folder {path} is not private", path=path),
            tr("it must be a folder of yours that nobody else may enter"),
            tr("Run: chmod 700 {path}", path=path),
        )


def read_private(path: Path) -> bytes:
    """A file that must be ours alone. Raises FileNotFoundError, ClientError."""
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        if not is_ours_alone(found):
            raise ClientError(
                "home_not_private",
                tr("The file {path} is not private", path=path),
                tr("it must be yours and readable by nobody else"),
                tr("Run: chmod 600 {path}", path=path),
            )
        return file.read(_MOST_FILE_BYTES)


def write_private(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replaces the file in one step: after a crash or a power cut it holds the old content or the new one."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            set_mode(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"
