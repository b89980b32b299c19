"""What the agent does for its owner, verb by verb: each takes a message of the control socket and returns its answer.

An expected "no" is raised as ClientError; the socket turns it into a `failed` message.
"""

import base64
import dataclasses
import http
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spa_knock.client.confirming import Confirming
from spa_knock.client.errors import ClientError
from spa_knock.client.fields import (
    FieldError,
    as_object,
    get_day_keys,
    get_int,
    get_object,
    get_optional_text,
    get_text,
)
from spa_knock.client.grants import (
    Wanted,
    choose_grant,
    grant_bytes,
    is_still_open,
    read_asked,
    read_grants,
    read_name,
    why_no_grant,
)
from spa_knock.client.home import Enrolment, Home, KnockState
from spa_knock.client.keys import (
    CertificateError,
    is_key_locked,
    key_is_locked,
    load_device_key,
)
from spa_knock.client.knocking import SSH_DOOR, Knocker
from spa_knock.client.language import tr
from spa_knock.client.locked_key import MOST_PASSPHRASE
from spa_knock.client.receipt_folder import ReceiptFolder
from spa_knock.client.session import HeldCertificate, Holder, Session
from spa_knock.client.silence import causes
from spa_knock.client.site import Site
from spa_knock.client.ssh_config import write_ssh_files
from spa_knock.client.ssh_processes import SshProcesses
from spa_knock.client.unlocked import UnlockedDevice
from spa_knock.client.vendor_link import Answer, VendorLink, refusal

PART_BYTES = 40_000
"""An answer's body crosses the control socket in parts of this size: base64 of it stays below the framing's limit."""

_REMEMBER_FAILURE_SECONDS = 3.0
_ROUND_OF_SECOND_THOUGHTS = 1
_CALLABLE = re.compile(r"/(activation|targets|access-requests|grants)(/[A-Za-z0-9_-]+){0,2}", re.ASCII)

Message = Mapping[str, object]


class Verbs:
    """The agent's work, apart from its sockets. Safe to use from several threads."""

    def __init__(self, home: Home, holder: Holder) -> None:
        self._home = home
        self._holder = holder
        self._receipts = ReceiptFolder(home.path)
        self._ssh = SshProcesses()
        self._preparing = threading.Lock()
        self._just_failed: tuple[Wanted, float, ClientError] | None = None
        home.enrolment()
        self._unlocked = None if is_key_locked(home.key_path) else self._unlocked_with(load_device_key(home.key_path))
        self.confirming = Confirming(self._receipts, lambda: self._unlocked.confirmer if self._unlocked else None)
        self._verbs: Mapping[str, Callable[[Message], list[dict[str, object]]]] = {
            "status": self._status,
            "login": self._login,
            "logout": self._logout,
            "call": self._call,
            "prepare": self._prepare,
            "knock": self._knock,
            "reach": self._reach,
            "silence": self._silence,
            "renew": self._renew,
            "unlock": self._unlock,
        }

    def handle(self, message: Message) -> list[dict[str, object]]:
        """The answer to one message: one message, or for a long body several. Raises ClientError."""
        verb = self._verbs.get(str(message.get("type")))
        if verb is None:
            raise ClientError(
                "usage",
                tr("The agent does not know this verb"),
                tr("it may be older than this command"),
                tr("Run: sally logout, then sally login"),
            )
        try:
            return verb(message)
        except FieldError as error:
            raise ClientError("refused", tr("Something arrived that cannot be used"), str(error)) from None

    def look_around(self) -> None:
        """What the agent does about once a second: asks for receipts at once when an ssh has ended."""
        if self._ssh.take_ended():
            self.confirming.left()

    def close(self) -> None:
        self.confirming.close()
        self._holder.sign_out()
        if self._unlocked is not None:
            self._unlocked.link.close()

    @property
    def _device(self) -> UnlockedDevice:
        """What works with D. Raises ClientError `key_locked` as long as nobody has unlocked it."""
        if self._unlocked is None:
            raise key_is_locked()
        return self._unlocked

    @property
    def _knocker(self) -> Knocker:
        return self._device.knocker

    @property
    def _link(self) -> VendorLink:
        return self._device.link

    def _unlocked_with(self, key: Ed25519PrivateKey) -> UnlockedDevice:
        return UnlockedDevice(self._home, key, self._receipts)

    def _unlock(self, message: Message) -> list[dict[str, object]]:
        """Holds D in memory from now on; the file stays locked."""
        with self._preparing:
            if self._unlocked is None:
                passphrase = get_text(message, "passphrase", most=MOST_PASSPHRASE)
                self._unlocked = self._unlocked_with(load_device_key(self._home.key_path, passphrase))
        return [{"type": "unlocked"}]

    def _status(self, _message: Message) -> list[dict[str, object]]:
        session = self._holder.current()
        answer: dict[str, object] = {
            "type": "status",
            "pid": os.getpid(),
            "home": str(self._home.path),
            "signed_in": session is not None,
            "locked": self._unlocked is None,
            "receipts": {"waiting": self.confirming.is_waiting, "trouble": self.confirming.trouble},
        }
        if session is not None:
            idle_left = session.used_at + session.idle_seconds - time.monotonic()
            answer |= {
                "person": dict(session.person),
                "idle_seconds_left": max(0, int(idle_left)),
                "clock_offset_ms": session.site_offset_ms,
                "certificates": [
                    {
                        "target": held.target,
                        "account": held.account,
                        "grant_id": held.grant_id,
                        "serial": held.certificate.serial,
                        "valid_before": _rfc3339(held.certificate.valid_before),
                    }
                    for held in list(session.certificates)
                ],
            }
        return [answer]

    def _login(self, message: Message) -> list[dict[str, object]]:
        username = get_text(message, "username", most=200)
        secrets = {"password": get_text(message, "password", most=1024), "totp": get_text(message, "totp", most=20)}
        self._device.take_next_certificate()
        answer = self._link.call("POST", "/login", {"username": username, **secrets})
        if answer.status != http.HTTPStatus.OK:
            raise refusal(answer)
        enrolment = self._home.enrolment()
        site = enrolment.site.after_login(get_object(answer.body, "site"))
        offset_ms = get_int(answer.body, "server_time_ms") - (answer.sent_at_ms + answer.received_at_ms) // 2
        person = get_object(answer.body, "person")
        session = Session(
            token=get_text(answer.body, "token"),
            idle_seconds=get_int(answer.body, "idle_seconds", least=1, most=86_400),
            person={name: get_text(person, name, most=200) for name in ("id", "username", "display_name")},
            site_offset_ms=offset_ms,
        )
        self._learn(answer, offset_ms)
        self._keep_site(enrolment, site, username)
        self._holder.sign_in(session)
        self.confirming.signed_in()
        told = {"type": "signed_in", "person": dict(session.person), "clock_offset_ms": offset_ms, "site": site.name}
        return [{**told, "renewed": self._renew_when_due(session)}]

    def _learn(self, answer: Answer, offset_ms: int) -> None:
        day_keys = get_day_keys(answer.body)
        source = get_optional_text(answer.body, "source", most=64)
        local = self._link.local_address
        seen_from = (local, source) if local and source else None

        def learn(state: KnockState) -> KnockState:
            return dataclasses.replace(state, day_keys=day_keys, clock_offset_ms=offset_ms, seen_from=seen_from)

        self._knocker.change(learn)

    def _keep_site(self, enrolment: Enrolment, site: Site, username: str) -> None:
        self._home.write_enrolment(dataclasses.replace(enrolment, site=site, username=username, short_code=None))
        write_ssh_files(self._home, site)

    def _logout(self, _message: Message) -> list[dict[str, object]]:
        session = self._holder.current()
        told = False
        self._holder.sign_out()
        if self.confirming.is_waiting:
            # The agent ends now: a session that is over already gets its receipt first.
            self.confirming.ask_now()
        if session is not None:
            try:
                told = self._link.call("POST", "/logout", token=session.token).status < http.HTTPStatus.BAD_REQUEST
            except ClientError:
                # Signed out here in any case; the site ends the token by itself when it stays unused.
                told = False
        self._link.close()
        return [{"type": "signed_out", "was_signed_in": session is not None, "site_told": told}]

    def _call(self, message: Message) -> list[dict[str, object]]:
        method, path = get_text(message, "method", most=10), get_text(message, "path", most=500)
        if method not in ("GET", "POST") or not _CALLABLE.fullmatch(path):
            raise ClientError(
                "usage",
                tr("This call is not one the agent makes"),
                tr("{method} {path} is not on its list", method=method, path=path),
            )
        body = as_object(message["body"], "body") if message.get("body") is not None else None
        if path == "/activation":
            return _in_parts(self._link.call(method, path, body))
        return _in_parts(self._call_signed_in(self._signed_in(), method, path, body))

    def _call_signed_in(self, session: Session, method: str, path: str, body: Message | None = None) -> Answer:
        answer = self._link.call(method, path, body, token=session.token)
        if answer.status == http.HTTPStatus.UNAUTHORIZED:
            self._holder.sign_out(of=session)
        return answer

    def _signed_in(self) -> Session:
        session = self._holder.use()
        if session is None:
            raise ClientError(
                "not_signed_in",
                tr("Not signed in"),
                tr("nobody is, or the session was idle too long"),
                tr("Run: sally login"),
            )
        return session

    def _prepare(self, message: Message) -> list[dict[str, object]]:
        wanted = self._wanted(message)
        self._just_failed = None
        try:
            held = self._ensure(wanted)
        except ClientError as error:
            self._just_failed = (wanted, time.monotonic(), error)
            raise
        return [{"type": "prepared", "target": held.target, "grant_id": held.grant_id}]

    def _wanted(self, message: Message) -> Wanted:
        return read_name(get_text(message, "name", most=300), self._home.enrolment().site.ssh_domain)

    def _ensure(self, wanted: Wanted) -> HeldCertificate:
        """A current certificate for this target: the one at hand, or a new one. Raises ClientError."""
        session = self._signed_in()
        if (held := self._holder.find(wanted.target, wanted.account)) is not None:
            return held
        with self._preparing:
            if (held := self._holder.find(wanted.target, wanted.account)) is not None:
                return held
            return self._fetch(session, wanted)

    def _fetch(self, session: Session, wanted: Wanted) -> HeldCertificate:
        grants = read_grants(self._data(session, "GET", "/grants"))
        now = self._site_time(session)
        grant = choose_grant(grants, wanted, now)
        if grant is None:
            raise why_no_grant(grants, read_asked(self._data(session, "GET", "/access-requests")), wanted, now)
        body = {"public_key": session.key.public_line}
        issued = self._data(session, "POST", f"/grants/{grant.id}/ssh-certificate", body)
        try:
            certificate = session.key.read_certificate(get_text(issued, "certificate", most=16_384))
        except CertificateError as error:
            raise ClientError(
                "refused", tr("The site sent an unusable certificate"), str(error), tr("Tell the plant")
            ) from None
        held = HeldCertificate(grant.id, grant.target, grant.account, certificate)
        self._holder.keep(session, held)
        return held

    def _data(self, session: Session, method: str, path: str, body: Message | None = None) -> Message:
        answer = self._call_signed_in(session, method, path, body)
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise refusal(answer)
        return answer.body

    def _knock(self, message: Message) -> list[dict[str, object]]:
        """One knock for the SSH door. `round` counts from 0; the caller asks for the next one when nothing opened."""
        session = self._signed_in()
        wanted = self._wanted(message)
        # ssh calls prepare and then the proxy: the proxy tells why prepare failed and does not wait for it again.
        failed, self._just_failed = self._just_failed, None
        if failed and failed[0] == wanted and time.monotonic() - failed[1] < _REMEMBER_FAILURE_SECONDS:
            raise failed[2]
        held = self._ensure(wanted)
        site = self._home.enrolment().site
        rounds = self._knocker.approaches(site.ssh)
        number = get_int(message, "round", most=100)
        if number >= len(rounds):
            errors = message.get("errors")
            seen = [one for one in errors if isinstance(one, int)] if isinstance(errors, list) else []
            raise self._knocker.nobody_answered(site.name, seen)
        if number == _ROUND_OF_SECOND_THOUGHTS:
            held = self._still_open(session, wanted, held)
        approach = rounds[number]
        self.confirming.knocked(held.grant_id, held.target)
        if isinstance(ssh_pid := message.get("ssh_pid"), int):
            self._ssh.watch(ssh_pid)
        knock = self._knocker.knock(SSH_DOOR, approach, bind=session.key.bind, grant=grant_bytes(held.grant_id))
        return [
            {
                "type": "knocked",
                "address": approach.address,
                "port": approach.port,
                "proof_b64": base64.b64encode(knock.proof).decode(),
                "wait_ms": int(approach.seconds * 1000),
            }
        ]

    def _still_open(self, session: Session, wanted: Wanted, held: HeldCertificate) -> HeldCertificate:
        """The first knock got no answer: perhaps its grant was taken back, and another one was given since.

        Without this its certificate would be used until it ends. Raises ClientError with what became of the grant; a
        site that does not answer here either is no reason to stop knocking.
        """
        try:
            grants = read_grants(self._data(session, "GET", "/grants"))
        except ClientError as error:
            if error.code == "no_answer":
                return held
            raise
        if is_still_open(grants, held.grant_id, self._site_time(session)):
            return held
        self._holder.drop(session, held.grant_id)
        with self._preparing:
            return self._fetch(session, wanted)

    def _site_time(self, session: Session) -> datetime:
        return datetime.fromtimestamp(self._holder.site_seconds(session), UTC)

    def _reach(self, _message: Message) -> list[dict[str, object]]:
        return [{"type": "reached", "seconds": round(self._link.reach(), 3)}]

    def _renew_when_due(self, session: Session) -> bool:
        if not self._device.is_renewal_due(self._holder.site_seconds(session)):
            return False
        try:
            self._renew_within(session)
        except (ClientError, FieldError, CertificateError):
            # Nobody asked for it; the next sign-in tries again, and doctor warns in time.
            return False
        return True

    def _renew(self, _message: Message) -> list[dict[str, object]]:
        not_after = self._renew_within(self._signed_in())
        return [{"type": "renewed", "not_after": not_after.strftime("%Y-%m-%dT%H:%M:%SZ")}]

    def _renew_within(self, session: Session) -> datetime:
        return self._device.keep_renewal(self._data(session, "POST", "/device/renewal", {}))

    def _silence(self, _message: Message) -> list[dict[str, object]]:
        """What may lie behind the last silence, the surest first."""
        found = causes(self._knocker.evidence(self._link.errors_seen))
        told = [{"code": one.code, "how_sure": one.likelihood.value, "why": one.why, "do": one.do} for one in found]
        return [{"type": "causes", "causes": told}]


def _in_parts(answer: Answer) -> list[dict[str, object]]:
    """An answer of any length as messages; the last one says so."""
    data = json.dumps(answer.body).encode()
    parts = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
    return [
        {
            "type": "answer",
            "status": answer.status,
            "body_part_b64": base64.b64encode(part).decode(),
            "last": index == len(parts) - 1,
        }
        for index, part in enumerate(parts)
    ]


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(min(seconds, 253402300799), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
