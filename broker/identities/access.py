"""The dependencies with which every router asks who is calling: at the plant face and at the vendor face.

They only read what the request carries and ask `SignInService`; no decision is made here but the comparison of the
CSRF token and of the permission.
"""

import hmac
from collections.abc import Callable
from typing import Final

from fastapi import Request

from broker.identities.errors import csrf_mismatch, not_permitted, not_signed_in
from broker.identities.model import Principal, Role, VendorConnection, VendorPrincipal
from broker.identities.sign_in import SignInService
from broker.kernel.errors import Forbidden

__all__ = ["COOKIE", "PlantAccess", "Principal", "Role", "VendorAccess", "VendorConnection", "VendorPrincipal"]

COOKIE: Final = "__Host-sallyport"
CSRF_HEADER: Final = "X-CSRF-Token"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_INVITE_PREFIX: Final = "inv_"


class PlantAccess:
    """Who is at the console."""

    def __init__(self, sign_in: SignInService) -> None:
        self._sign_in = sign_in

    def signed_in(self, request: Request) -> Principal:
        """A dependency: whoever is signed in.

        Raises Unauthenticated `not_signed_in`, or Forbidden `identities.csrf_mismatch` when the method is unsafe and
        the CSRF token is missing or another session's.
        """
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            raise not_signed_in()
        session = self._sign_in.console_session(cookie)
        if request.method not in _SAFE_METHODS:
            offered = request.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(offered.encode(), session.csrf_token.reveal().encode()):
                raise csrf_mismatch()
        return session.principal

    def requires(self, permission: str) -> Callable[[Request], Principal]:
        """A dependency: somebody signed in whose role holds this permission.

        Raises what `signed_in` raises, and Forbidden `identities.not_permitted`.
        """

        def permitted(request: Request) -> Principal:
            principal = self.signed_in(request)
            if permission not in principal.permissions:
                raise not_permitted(permission)
            return principal

        return permitted


class VendorAccess:
    """Who is at the vendor face. The connection's facts come from the gateway's preamble, never from a header."""

    def __init__(self, sign_in: SignInService) -> None:
        self._sign_in = sign_in

    def connection(self, request: Request) -> VendorConnection:
        """A dependency: the connection that carries this request.

        Raises Forbidden `device_not_trusted` when there is none, or when it is an invite's.
        """
        connection = self._any_connection(request)
        if connection.device_id.startswith(_INVITE_PREFIX):
            raise Forbidden("device_not_trusted", "This connection may only be used to enrol a device.")
        return connection

    def enrolling(self) -> Callable[[Request], VendorConnection]:
        """A dependency: a connection made with an invite's certificate.

        Raises Forbidden `devices.not_an_invite` for any other.
        """

        def invited(request: Request) -> VendorConnection:
            connection = self._any_connection(request)
            if not connection.device_id.startswith(_INVITE_PREFIX):
                raise Forbidden("devices.not_an_invite", "Enrolling needs an unused invite.")
            return connection

        return invited

    def signed_in(self) -> Callable[[Request], VendorPrincipal]:
        """A dependency: an engineer whose bearer token belongs to this very device certificate.

        Raises Unauthenticated `not_signed_in`, or Forbidden `device_not_trusted`.
        """

        def engineer(request: Request) -> VendorPrincipal:
            connection = self.connection(request)
            return self._sign_in.vendor_principal(bearer_token(request), connection)

        return engineer

    @staticmethod
    def _any_connection(request: Request) -> VendorConnection:
        connection = getattr(request.state, "vendor", None)
        if not isinstance(connection, VendorConnection):
            raise Forbidden("device_not_trusted", "This connection did not come through the vendor face.")
        return connection


def bearer_token(request: Request) -> str:
    """The bearer token of a request.

    Raises Unauthenticated `not_signed_in` when there is none.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > 200:
        raise not_signed_in()
    return token
