"""Enrolling this computer: one invite, one knock with it, one answer; then the home holds a device."""

import platform
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spa_knock.client.errors import ClientError
from spa_knock.client.fields import FieldError, get_bytes, get_day_keys, get_text
from spa_knock.client.home import Enrolment, Home, KnockState, locked, write_private
from spa_knock.client.invite import Invite
from spa_knock.client.keys import CertificateError, bind_of, check_device_certificate, key_content, signing_request
from spa_knock.client.knocking import Knocker
from spa_knock.client.language import tr
from spa_knock.client.launch import stop_agent
from spa_knock.client.ssh_config import write_ssh_files
from spa_knock.client.vendor_link import Answer, VendorLink, refusal, tls_context_of_memory


@dataclass(frozen=True)
class Enrolled:
    """What the engineer needs next: the short code, to be read aloud to the plant."""

    site_name: str
    device_id: str
    device_name: str
    short_code: str
    state: str


def enroll(
    home: Home,
    invite: Invite,
    device_name: str,
    *,
    replace: bool,
    now_ms: int | None = None,
    passphrase: str | None = None,
) -> Enrolled:
    """Makes D, has it certified with the invite, and stores everything. Raises ClientError.

    `replace` gives up the device that this home already holds. `now_ms` defaults to this computer's clock. With a
    `passphrase` D lies locked on the disk.
    """
    if invite.expires_at_ms <= (time.time_ns() // 1_000_000 if now_ms is None else now_ms):
        raise ClientError(
            "invite_expired",
            tr("This invite can no longer be used"),
            tr("its time is over"),
            tr("Ask the plant for a new one"),
        )
    home.prepare()
    if home.is_enrolled() and not replace:
        raise ClientError(
            "already_enrolled",
            tr("This computer is already enrolled"),
            tr("{path} holds a device at {name}", path=home.path, name=home.enrolment().site.name),
            tr("To give it up use --replace; for another site choose another folder with SALLY_HOME"),
        )
    stop_agent(home)
    with locked(home):
        key = Ed25519PrivateKey.generate()
        waiting = home.key_path.with_suffix(".new")
        # On disk before the invite is spent: a crash from here on cannot leave a certified key that nobody has.
        write_private(waiting, key_content(key, passphrase))
        answer = _ask(home, invite, key, device_name, posture("file" if passphrase is None else "locked_file"))
        return _store(home, invite, key, device_name, answer)


def _ask(home: Home, invite: Invite, key: Ed25519PrivateKey, device_name: str, told_posture: dict[str, str]) -> Answer:
    state = KnockState(knock_key=invite.knock_key, day_keys=invite.day_keys)
    knocker = Knocker.of_invite(invite.site, invite.private_key.sign, state)
    context = tls_context_of_memory(invite.site, invite.certificate_pem, invite.private_key_pem, home.path)
    link = VendorLink(invite.site, knocker, bind_of(invite.private_key.public_key()), context)
    try:
        answer = link.call(
            "POST",
            "/enrol",
            {
                "code": invite.code,
                "csr_pem": signing_request(key),
                "device_name": device_name,
                "posture": told_posture,
            },
        )
    finally:
        link.close()
    if answer.status != 201:
        raise refusal(answer)
    return answer


def _store(home: Home, invite: Invite, key: Ed25519PrivateKey, device_name: str, answer: Answer) -> Enrolled:
    try:
        certificate_pem = get_text(answer.body, "certificate_pem", most=65_536)
        check_device_certificate(certificate_pem, key)
        enrolled = Enrolled(
            site_name=invite.site.name,
            device_id=get_text(answer.body, "device_id", most=64),
            device_name=device_name,
            short_code=get_text(answer.body, "short_code", most=40),
            state=get_text(answer.body, "state", most=40),
        )
        state = KnockState(get_bytes(answer.body, "knock_key_b64", length=32), get_day_keys(answer.body))
    except (FieldError, CertificateError) as error:
        raise ClientError(
            "refused", tr("The site's answer cannot be used"), str(error), tr("Ask the plant for a new invite")
        ) from None
    home.key_path.with_suffix(".new").replace(home.key_path)
    write_private(home.certificate_path, certificate_pem.encode())
    home.write_knock_state(state)
    home.write_enrolment(Enrolment(invite.site, enrolled.device_id, device_name, enrolled.short_code))
    write_ssh_files(home, invite.site)
    return enrolled


def posture(key_storage: str = "file") -> dict[str, str]:
    """What the approver gets to see of this computer."""
    return {
        "os": f"{platform.system()} {platform.release()}"[:80],
        "key_storage": key_storage,
        "client_version": client_version(),
    }


def client_version() -> str:
    for name in ("sallyport-client", "sallyport"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "0"
