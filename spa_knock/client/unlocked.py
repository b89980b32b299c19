"""The device key D in memory, what works with it, and the certificate it shows, which is renewed here."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spa_knock.client.confirming import Confirmer
from spa_knock.client.errors import ClientError
from spa_knock.client.fields import get_bytes, get_day_keys, get_text
from spa_knock.client.home import Home, KnockState, write_private
from spa_knock.client.keys import CertificateError, bind_of, check_device_certificate, renewal_is_due
from spa_knock.client.knocking import Knocker
from spa_knock.client.language import tr
from spa_knock.client.receipt_folder import ReceiptFolder
from spa_knock.client.vendor_link import VendorLink, tls_context_of_key


class UnlockedDevice:
    """D in memory, and what works with it."""

    def __init__(self, home: Home, key: Ed25519PrivateKey, receipts: ReceiptFolder) -> None:
        self._home = home
        self._key = key
        site = home.enrolment().site
        self.knocker = Knocker.of_home(home, site, key.sign)
        context = tls_context_of_key(site, home.certificate_path, key, home.path)
        self.link = VendorLink(site, self.knocker, bind_of(key.public_key()), context)
        self.confirmer = Confirmer(home, receipts, self.link, key)

    def take_next_certificate(self) -> None:
        """A renewed certificate is used from a sign-in on: tokens are bound to the one that was shown for them."""
        if self._home.take_next_certificate():
            site = self._home.enrolment().site
            self.link.use(tls_context_of_key(site, self._home.certificate_path, self._key, self._home.path))

    def is_renewal_due(self, site_seconds: float) -> bool:
        """Whether half of the certificate's life is over. `site_seconds`: the site's time since 1970.

        Raises CertificateError.
        """
        certificate = check_device_certificate(self._home.certificate_path.read_text(), self._key)
        return renewal_is_due(certificate, site_seconds)

    def keep_renewal(self, answer: Mapping[str, object]) -> datetime:
        """Stores the new knock key and certificate of the site's answer, the key first; until when that one lasts.

        The site takes the old pair until the new certificate is shown, so a crash between the two leaves what works.
        Raises FieldError, ClientError for a certificate that cannot be used.
        """
        knock_key, day_keys = get_bytes(answer, "knock_key_b64", length=32), get_day_keys(answer)
        pem = get_text(answer, "certificate_pem", most=32_768)
        try:
            certificate = check_device_certificate(pem, self._key)
        except CertificateError as error:
            raise ClientError(
                "refused", tr("The site sent an unusable certificate"), str(error), tr("Tell the plant")
            ) from None

        def learn(state: KnockState) -> KnockState:
            return dataclasses.replace(state, knock_key=knock_key, day_keys=day_keys)

        self.knocker.change(learn)
        write_private(self._home.next_certificate_path, pem.encode())
        return certificate.not_valid_after_utc
