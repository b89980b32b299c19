"""The refusals of identities. None of them tells whether a user name exists."""

from broker.kernel.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated


def not_signed_in() -> Unauthenticated:
    """Nobody is signed in, or the sign-in has ended."""
    return Unauthenticated("not_signed_in", "You are not signed in, or your sign-in has ended. Sign in again.")


def source_changed() -> Unauthenticated:
    """The device's address is not the one that it signed in from."""
    return Unauthenticated(
        "source_changed", "Your address has changed since you signed in, so this sign-in has ended. Sign in again."
    )


def console_sign_in_refused() -> Unauthenticated:
    """The one answer to every sign-in that fails at the console."""
    return Unauthenticated(
        "identities.sign_in_refused",
        "The sign-in was refused. Check user name, password and code; after several failures wait some minutes.",
    )


def vendor_sign_in_refused() -> Unauthenticated:
    """The one answer to every sign-in that fails at the vendor face."""
    return Unauthenticated(
        "not_signed_in",
        "The sign-in was refused. Check user name, password and code; after several failures wait some minutes.",
    )


def too_many_attempts() -> TooMany:
    """This source has failed too often in a short time."""
    return TooMany("identities.too_many_attempts", "Too many failed attempts from here. Wait some minutes.")


def csrf_mismatch() -> Forbidden:
    """The request does not carry the session's CSRF token."""
    return Forbidden("identities.csrf_mismatch", "The request did not come from the console's own page. Reload it.")


def not_permitted(permission: str) -> Forbidden:
    """The role does not hold this permission."""
    return Forbidden("identities.not_permitted", "Your role does not permit this.", {"permission": permission})


def activation_refused() -> Unauthenticated:
    """The activation token is unknown, used, expired, or not for this face."""
    return Unauthenticated(
        "identities.activation_refused", "The activation link is used, expired or unknown. Ask for a new one."
    )


def wrong_code() -> Invalid:
    """The code does not prove that the authenticator holds the secret."""
    return Invalid("identities.wrong_code", "The code does not match. Check the authenticator's clock and try again.")


def password_unfit(fault: str) -> Invalid:
    """The password cannot be used."""
    return Invalid(
        "identities.password_unfit",
        "The password cannot be used: at least 12 characters, not all alike, without the user name.",
        {"fault": fault},
    )


def username_unfit() -> Invalid:
    """The text cannot be a user name."""
    return Invalid("identities.username_unfit", "A user name is 1 to 64 of a-z, 0-9, dot, dash and underscore.")


def company_missing() -> Invalid:
    """A vendor's engineer needs a company, and only they have one."""
    return Invalid("identities.company_mismatch", "A vendor's engineer needs a company; people of the plant have none.")


def username_taken() -> Conflict:
    """Another person has this user name."""
    return Conflict("identities.username_taken", "This user name is taken.")


def person_not_found() -> NotFound:
    """There is no such person to be seen by the caller."""
    return NotFound("not_found", "There is no such person.")


def person_suspended() -> Conflict:
    """The person is suspended already."""
    return Conflict("identities.person_suspended", "This person is suspended already.")


def not_oneself() -> Conflict:
    """Nobody suspends themselves."""
    return Conflict("identities.not_oneself", "You cannot suspend yourself. Ask another administrator.")


def administrator_exists() -> Conflict:
    """The first administrator of this role was made before."""
    return Conflict(
        "identities.administrator_exists",
        "Somebody had this role already: the first of a role is made once. Ask the administrators for an account; when "
        "none of them can sign in any more, use 'sallyport recover-admin'.",
    )


def not_a_bootstrap_role() -> Invalid:
    """Root makes and recovers system and security administrators only."""
    return Invalid(
        "identities.not_a_bootstrap_role", "Only a system or security administrator can be made or recovered here."
    )


def not_to_be_confirmed() -> Conflict:
    """The person has not activated yet, or is confirmed or suspended."""
    return Conflict("identities.not_to_be_confirmed", "This person does not wait for a confirmation.")


def confirmer_not_allowed() -> Forbidden:
    """Only a security administrator confirms, never oneself, never whom one entered."""
    return Forbidden(
        "identities.confirmer_not_allowed",
        "Another security administrator must confirm this person: nobody confirms themselves or whom they entered.",
    )


def confirmation_code_differs() -> Invalid:
    """The code that was typed is not the one this person was shown."""
    return Invalid(
        "identities.confirmation_code_differs",
        "This is not the code that the person was shown. If they read it correctly, somebody else used the activation "
        "link: have the account reset.",
    )


def not_oneself_reset() -> Conflict:
    """Nobody resets themselves."""
    return Conflict("identities.not_oneself_reset", "You cannot reset your own account. Ask another administrator.")
