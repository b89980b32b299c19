"""The refusals of recordings."""

from broker.kernel.errors import Conflict, NotFound, Unavailable


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
