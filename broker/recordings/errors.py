"""The refusals of recordings."""

from broker.kernel.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unavailable


def not_found(recording_id: str) -> NotFound:
    """No such recording, or not to be seen by this caller."""
    return NotFound("not_found", "There is no such recording.", {"id": recording_id})


def not_in_state(state: str, command: str) -> Conflict:
    """The recording is closed already."""
    return Conflict(
        "recordings.not_in_state", f"The recording is {state} already.", {"state": state, "command": command}
    )


def file_missing(recording_id: str) -> Unavailable:
    """The index has it, the disk has not."""
    return Unavailable(
        "recordings.file_missing",
        "The recording's file is not there; ask whoever runs this machine.",
        {"id": recording_id},
    )


def store_fails(recording_id: str, code: str) -> Unavailable:
    """Its only copy lies in the store of objects, which does not give it now."""
    return Unavailable(
        "recordings.store_fails",
        "The object store does not give this recording now; try again, or see the health page.",
        {"id": recording_id, "reason": code},
    )


def not_readable(recording_id: str) -> Conflict:
    """The file does not open: it is not the one that was recorded, or it is damaged from its start."""
    return Conflict(
        "recordings.not_readable", "The recording's file cannot be opened; see its verification.", {"id": recording_id}
    )


def nothing_masked(recording_id: str) -> Conflict:
    """The site had no auditors' keys when this session ran."""
    return Conflict(
        "recordings.nothing_masked", "This recording holds no masked input: see its keys.", {"id": recording_id}
    )


def two_auditors() -> Conflict:
    """Both parts from one person."""
    return Conflict("recordings.two_auditors", "The other part came from you: another auditor must hand it in.")


def not_the_parts() -> Conflict:
    """The parts open nothing here."""
    return Conflict(
        "recordings.not_the_parts", "These are not the two parts of this recording's key. Both auditors begin anew."
    )


def not_prepared(recording_id: str) -> Conflict:
    """Its index is still being made."""
    return Conflict(
        "recordings.not_prepared", "The recording is being prepared; ask for its timeline.", {"id": recording_id}
    )


def purged(recording_id: str) -> Conflict:
    """Its tombstone is what stays."""
    return Conflict(
        "recordings.purged", "The recording was destroyed by two people; its tombstone stays.", {"id": recording_id}
    )


def purge_barred(recording_id: str, barrier: str) -> Conflict:
    """One recording of the list may not be destroyed; `barrier` says why."""
    return Conflict(
        f"recordings.purge_{barrier}",
        "One of these recordings may not be destroyed; leave it out and ask anew.",
        {"id": recording_id},
    )


def purge_not_in_state(state: str, command: str) -> Conflict:
    """The purge was decided already."""
    return Conflict(
        "recordings.purge_not_in_state", f"This purge is {state} already.", {"state": state, "command": command}
    )


def purge_lapsed() -> Conflict:
    """Nobody confirmed in time."""
    return Conflict("recordings.purge_lapsed", "Nobody confirmed this purge in time; it must be asked for anew.")


def purge_own() -> Forbidden:
    """Whoever asks does not confirm."""
    return Forbidden("recordings.purge_own", "You asked for this purge: another person must confirm it.")


def purge_asker_gone() -> Conflict:
    """Who asked may not ask any more."""
    return Conflict(
        "recordings.purge_asker_gone", "Who asked for this purge may not ask any more; it must be asked for anew."
    )


def another_list() -> Conflict:
    """What was reviewed is not what would be destroyed."""
    return Conflict("recordings.another_list", "The list that you reviewed is not the list of this purge; review it.")


def purge_of_nothing() -> Invalid:
    """No recording, one named twice, or too many."""
    return Invalid("recordings.purge_list", "Name 1 to 500 recordings, each once.")


def purge_pending(recording_id: str) -> Conflict:
    """Another ask names it."""
    return Conflict(
        "recordings.purge_pending", "One of these recordings is in another purge that waits.", {"id": recording_id}
    )


def reason_missing() -> Invalid:
    """Destroying, holding and letting go each need a reason."""
    return Invalid("recordings.reason_missing", "A reason of 1 to 500 characters is needed.")


def hold_not_standing() -> Conflict:
    """Lifted already."""
    return Conflict("recordings.hold_not_standing", "This hold was lifted already.")


def too_many_holds(recording_id: str) -> TooMany:
    """A recording bears so many holds and no more."""
    return TooMany("recordings.too_many_holds", "This recording is held for 20 reasons already.", {"id": recording_id})
