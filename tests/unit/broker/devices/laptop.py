"""A computer that enrols."""

import base64
import json
import zlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from broker.devices.invite_text import PREFIX
from broker.devices.model import Enrolment, EnrolmentRequest, Posture
from broker.identities.model import Person, Role
from tests.unit.broker.devices.requests import a_request
from tests.unit.broker.identities.world import World


def content_of(text: str) -> dict[str, Any]:
    body = text.removeprefix(PREFIX)
    packed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    document: dict[str, Any] = json.loads(zlib.decompress(packed))
    return document


class Laptop:
    """A client that holds an invite."""

    def __init__(self, world: World, engineer: Person | None = None, admin: Person | None = None) -> None:
        self.world = world
        self.engineer = engineer or world.somebody()
        self.admin = admin or world.somebody(Role.PLANT_ADMIN)
        self.invite = world.devices.enrolments.invite(self.admin.id, self.engineer.id)
        self.content = content_of(self.invite.text)
        certificate = x509.load_pem_x509_certificates(self.content["certificate_pem"].encode())[0]
        self.certificate_der = certificate.public_bytes(Encoding.DER)
        self.key = ed25519.Ed25519PrivateKey.generate()

    def request(self, **changes: Any) -> EnrolmentRequest:
        fields: dict[str, Any] = {
            "invite_id": self.invite.id,
            "certificate_der": self.certificate_der,
            "source": "203.0.113.7",
            "code": self.content["code"],
            "csr_pem": a_request(self.key),
            "device_name": "service-laptop",
            "posture": Posture("Debian 12", "file"),
        }
        return EnrolmentRequest(**(fields | changes))

    def enrol(self, **changes: Any) -> Enrolment:
        return self.world.devices.enrolments.enrol(self.request(**changes))
