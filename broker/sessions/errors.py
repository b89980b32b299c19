"""The refusals of sessions."""

from broker.kernel.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unavailable


def not_found(session_id: str) -> NotFound:
    """No such session, or not to be seen by this caller."""
    return NotFound("not_found", "There is no such session.", {"id": session_id})


def trail_unavailable() -> Unavailable:
    """What happens in a session could not be told to the trail."""
    return Unavailable(
        "audit_unavailable",
        "The plant's audit trail cannot be written just now, so no session begins. Tell the plant; try again later.",
    )


def not_in_state(state: str, command: str) -> Conflict:
    """The session's state does not permit this."""
    return Conflict(
        "sessions.not_in_state",
        f"The session is {state}; this cannot be done any more.",
        {"state": state, "command": command},
    )


def other_permit() -> Forbidden:
    """A lease was asked for with another permit than the session's."""
    return Forbidden("sessions.other_permit", "The permit is not this session's.")


def permit_over() -> Forbidden:
    """The permit's time is over, or its grant, device or person is not in order any more."""
    return Forbidden("sessions.permit_over", "The session's permit does not hold any more.")


def other_recording() -> Invalid:
    """The recording that was opened is not this session's."""
    return Invalid("sessions.other_recording", "The recording is not the one this session was given.")


def other_gateway() -> Forbidden:
    """Another gateway worker than the one that admitted the session."""
    return Forbidden("sessions.other_gateway", "The session belongs to another gateway.")


def bad_reason() -> Invalid:
    """The reason of an end is a code."""
    return Invalid("invalid", "The reason of an end is a code of at most 60 characters.", {"field": "reason"})


def words_needed() -> Invalid:
    """Cutting or holding a session needs words for its engineer."""
    return Invalid("invalid", "Say why, in at most 200 characters.", {"field": "reason"})


def text_needed() -> Invalid:
    """A message is one line of text."""
    return Invalid("invalid", "A message is one line of at most 500 characters.", {"field": "text"})


def not_live(state: str) -> Conflict:
    """Only a live session can be watched, held or written to."""
    return Conflict(
        "sessions.not_live", f"The session is {state}; this is possible while it is live.", {"state": state}
    )


def gateway_silent() -> Unavailable:
    """The gateway that has the session is not there, or does not send what it is asked for."""
    return Unavailable("sessions.gateway_silent", "The session's gateway does not answer. Try again in a moment.")


def no_gateway() -> Unavailable:
    """A connection test needs a gateway, for control itself reaches no target."""
    return Unavailable("sessions.no_gateway", "No gateway is connected. Look at the health page.")


def too_many_probes() -> TooMany:
    """Connection tests are bounded: the broker is no scanner."""
    return TooMany("sessions.too_many_probes", "Too many connection tests. Try again in a minute.")


def too_many_watches() -> TooMany:
    """The console serves as many watches as it can."""
    return TooMany("sessions.too_many_watches", "Too many sessions are being watched. Close one first.")


def entry_refused(why: str) -> Conflict:
    """What a gateway tells is not taken; the trail says why."""
    return Conflict("sessions.entry_refused", "This entry is not the next of this gateway.", {"why": why})
