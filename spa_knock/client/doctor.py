"""`sally doctor`: what can be checked from this computer, and what to do about it."""

import shutil
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from cryptography import x509

from spa_knock.client.errors import ClientError
from spa_knock.client.fields import FieldError, get_objects, get_text
from spa_knock.client.home import Enrolment, Home, KnockState
from spa_knock.client.keys import (
    CertificateError,
    check_device_certificate,
    first_certificate,
    is_key_locked,
    load_device_key,
)
from spa_knock.client.language import term, tr
from spa_knock.client.launch import control_link, ensure_agent
from spa_knock.client.ssh_config import is_installed
from spa_knock.wire.keys import day_at


class State(Enum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One check: its name, how it went, what was found and what to do."""

    name: str
    state: State
    found: str
    do: str = ""


_WARN_DAYS = 14


def examine(home: Home, ssh_config: Path, *, reach: bool, now: datetime | None = None) -> list[Finding]:
    """Every finding, in the order in which a fault should be looked for. `reach` also knocks at the site."""
    now = now or datetime.now(UTC)
    findings = [_program()]
    try:
        home.prepare()
        enrolment, state = home.enrolment(), home.knock_state()
        findings.append(
            Finding(
                "enrolment",
                State.OK,
                tr("{device_id} at {name}", device_id=enrolment.device_id, name=enrolment.site.name),
            )
        )
        certificate = _certificate(home)
    except ClientError as error:
        return [*findings, _failure("enrolment", error)]
    certificate_found = judge_certificate(certificate, now, is_locked=is_key_locked(home.key_path))
    findings += [certificate_found, judge_gate_keys(state, now), judge_clock(state, certificate, now)]
    findings.append(_ssh(home, ssh_config))
    return [*findings, *_reach(home, enrolment)] if reach else findings


def judge_certificate(certificate: x509.Certificate, now: datetime, *, is_locked: bool = False) -> Finding:
    ends_at = certificate.not_valid_after_utc
    until = tr("valid until {ends_at:%Y-%m-%d}", ends_at=ends_at)
    if ends_at <= now:
        return Finding(
            "device key",
            State.FAILED,
            tr("the certificate ran out on {ends_at:%Y-%m-%d}", ends_at=ends_at),
            tr("Enrol again"),
        )
    if (ends_at - now).days < _WARN_DAYS:
        return Finding("device key", State.WARNING, until, tr("Run: sally renew (signed in)"))
    kept = tr("the key is kept in a file, locked") if is_locked else tr("the key is kept in a file")
    return Finding("device key", State.OK, f"{until}; {kept}")


def judge_gate_keys(state: KnockState, now: datetime) -> Finding:
    today = day_at(int(now.timestamp()) + state.clock_offset_ms // 1000)
    last = max(state.day_keys)
    if today not in state.day_keys:
        return Finding(
            "knock keys", State.FAILED, tr("none for today"), tr("Check the date; then ask for a new invite")
        )
    if last - today < _WARN_DAYS:
        return Finding(
            "knock keys", State.WARNING, tr("they last {last} more days", last=last - today), tr("Run: sally login")
        )
    return Finding("knock keys", State.OK, tr("they last {last} more days", last=last - today))


def judge_clock(state: KnockState, certificate: x509.Certificate, now: datetime) -> Finding:
    said = tr("this computer says {now:%Y-%m-%d %H:%M:%S} UTC", now=now)
    if now < certificate.not_valid_before_utc:
        return Finding(
            "clock", State.FAILED, tr("{said}, before this device was enrolled", said=said), tr("Set the clock")
        )
    if state.seen_from is None:
        return Finding(
            "clock", State.OK, tr("{said}; not yet compared with the site", said=said), tr("Compare it with a phone")
        )
    off_seconds = -state.clock_offset_ms / 1000
    found = tr(
        "{said}; {off_seconds:+.1f} s off at the last sign-in, which knocks allow for",
        said=said,
        off_seconds=off_seconds,
    )
    if abs(off_seconds) > 30:
        return Finding("clock", State.WARNING, found, tr("Set the clock, then sign in again"))
    return Finding("clock", State.OK, found)


def _program() -> Finding:
    if not ssl.HAS_TLSv1_3:
        return Finding(
            "program",
            State.FAILED,
            tr("{openssl_version} has no TLS 1.3", openssl_version=ssl.OPENSSL_VERSION),
            tr("Install a newer Python"),
        )
    return Finding("program", State.OK, ssl.OPENSSL_VERSION)


def _certificate(home: Home) -> x509.Certificate:
    # Whether a locked key is the certificate's shows when it is unlocked.
    key = None if is_key_locked(home.key_path) else load_device_key(home.key_path)
    try:
        pem = home.certificate_path.read_text()
        return check_device_certificate(pem, key) if key else first_certificate(pem)
    except (CertificateError, OSError, UnicodeDecodeError) as error:
        why = str(error) if isinstance(error, CertificateError) else tr("it cannot be read")
        raise ClientError(
            "home_damaged",
            tr("The device certificate {certificate_path} cannot be used", certificate_path=home.certificate_path),
            why,
            tr("Enrol again with a new invite: sally enroll --replace INVITE"),
        ) from None


def _ssh(home: Home, config_path: Path) -> Finding:
    if shutil.which("ssh") is None:
        return Finding("ssh", State.WARNING, tr("there is no ssh on the path"), tr("Install OpenSSH"))
    if not is_installed(home, config_path):
        return Finding(
            "ssh",
            State.WARNING,
            tr("{config_path} does not know us", config_path=config_path),
            tr("Run: sally ssh-config --install"),
        )
    return Finding("ssh", State.OK, tr("set up in {config_path}", config_path=config_path))


def _reach(home: Home, enrolment: Enrolment) -> list[Finding]:
    begun_at = time.monotonic()
    try:
        ensure_agent(home)
        with control_link(home) as agent:
            seconds = agent.ask("reach").get("seconds")
    except ClientError as error:
        waited = time.monotonic() - begun_at
        if error.code != "no_answer":
            return [_failure("knock", error)]
        site = enrolment.site
        ports = ", ".join(str(port) for port in site.knock.ports)
        knock = Finding(
            "knock",
            State.FAILED,
            tr("no answer after {waited:.0f} s: {why}", waited=waited, why=error.why),
            tr(
                "Compare the clock with a phone; try another network (UDP {ports} and TCP {port} to {host} must be let "
                "out); ask the plant whether this device is still trusted",
                ports=ports,
                port=site.vendor_face.port,
                host=site.vendor_face.host,
            ),
        )
        return [*_causes(home), knock]
    return [Finding("knock", State.OK, tr("the site answered after {seconds} s", seconds=seconds))]


def _causes(home: Home) -> list[Finding]:
    """What the agent saw that may explain the silence, the surest first."""
    try:
        with control_link(home) as agent:
            told = get_objects(agent.ask("silence"), "causes")
        return [
            Finding(
                "cause",
                State.WARNING,
                f"{term(get_text(one, 'how_sure'))}: {get_text(one, 'why')}",
                get_text(one, "do"),
            )
            for one in told
        ]
    except (ClientError, FieldError):
        return []


def _failure(name: str, error: ClientError) -> Finding:
    return Finding(name, State.FAILED, f"{error.what}: {error.why}", error.do)
