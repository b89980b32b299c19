"""Pure: the messages of the authority link as values, read strictly and written from what the services answer."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, ip_address
from typing import Final, assert_never

from broker.kernel.clock import from_milliseconds, milliseconds
from broker.policy.model import Deny, NeedsApproval, Permit
from broker.recordings.model import ClosedFacts, OpenedFacts, RecordingState
from broker.sessions.model import (
    AdmitAnswer,
    AdmitRequest,
    Admitted,
    Ended,
    GatewayIdentity,
    LeaseAnswer,
    ProbeOrder,
    Report,
    ReportedEvent,
    SessionOrder,
    SshProof,
)
from broker.sessions.sequence_rules import Told

Message = dict[str, object]

_LONGEST_TEXT: Final = 4096
_MOST_SESSIONS: Final = 2000
_MOST_EVENTS: Final = 200
_LARGEST: Final = 2**63 - 1
_VERSIONS: Final = (1, 2)
"""A gateway of version 1 does not sign what it tells; it may outlive the control that it was started with."""

_PROOF_KIND: Final = "ssh-userauth"


class BadMessage(ValueError):
    """A message is not what the link's contract says."""


@dataclass(frozen=True)
class Hello:
    """A gateway worker's first message: who it is, and which sessions it holds."""

    identity: GatewayIdentity
    sessions: tuple[str, ...]


@dataclass(frozen=True)
class LeaseRequest:
    """What a gateway says when it asks for a lease."""

    session_id: str
    permit_id: str
    recording: OpenedFacts
    path: str


# -- what arrives -----------------------------------------------------------------------------------------------------


def hello(message: Message) -> Hello:
    """Raises BadMessage."""
    if message.get("type") != "hello" or message.get("version") not in _VERSIONS:
        raise BadMessage("the first message is no hello of version 1 or 2")
    held = message.get("sessions", [])
    if not isinstance(held, list) or len(held) > _MOST_SESSIONS or not all(isinstance(one, str) for one in held):
        raise BadMessage("`sessions` of a hello is a list of ids")
    identity = GatewayIdentity(_text(message, "worker", 40), _text(message, "boot_id", 64))
    return Hello(identity, tuple(one[:40] for one in held))


def admit_request(gateway: GatewayIdentity, message: Message) -> AdmitRequest:
    """Raises BadMessage."""
    proof = _object(message, "proof")
    if proof.get("kind") != _PROOF_KIND:
        raise BadMessage("this kind of proof is not known")
    grant_id = message.get("grant_id")
    return AdmitRequest(
        gateway=gateway,
        protocol=_text(message, "protocol", 20),
        knock_id=_text(message, "knock_id", 24),
        device_id=_text(message, "device_id", 40),
        grant_id=_text(message, "grant_id", 40) if grant_id is not None else "",
        source=_address(message, "source"),
        source_port=_number(message, "source_port"),
        username=_text(message, "username", 128),
        signed_knock=_binary(message, "signed_knock_b64"),
        proof=SshProof(
            certificate=_binary(proof, "certificate_b64"),
            signed_data=_binary(proof, "signed_data_b64"),
            signature=_binary(proof, "signature_b64"),
            session_identifier=_binary(proof, "session_id_b64"),
        ),
    )


def lease_request(message: Message) -> LeaseRequest:
    """Raises BadMessage."""
    recording = _object(message, "recording")
    try:
        opened = OpenedFacts(_binary(recording, "signing_public_b64"), _hex(recording, "header_sha256_hex"))
    except ValueError as error:
        raise BadMessage(str(error)) from error
    return LeaseRequest(session_id(message), _text(message, "permit_id", 40), opened, _text(recording, "path"))


def session_id(message: Message) -> str:
    """Raises BadMessage."""
    return _text(message, "session_id", 40)


def newest(message: Message) -> Told | None:
    """What a `ping` says of the newest entry; None for a gateway that says nothing of it."""
    boot_id, seq = message.get("boot_id"), message.get("seq")
    if not isinstance(boot_id, str) or not isinstance(seq, int) or not 0 <= seq <= _LARGEST:
        return None
    return Told(boot_id[:64], seq)


def ended(message: Message) -> tuple[str, int, Ended]:
    """The boot, the number and the end. Raises BadMessage."""
    recording = message.get("recording")
    status = message.get("exit_status")
    if status is not None and (not isinstance(status, int) or isinstance(status, bool)):
        raise BadMessage("`exit_status` is a number or null")
    end = Ended(
        session_id=session_id(message),
        reason=_text(message, "reason", 200),
        ended_at=_moment(message, "ended_at_ms"),
        recording=_closed(_object(message, "recording")) if recording is not None else None,
        exit_status=status,
    )
    return _text(message, "boot_id", 64), _sequence(message), end


def report(message: Message) -> Report:
    """Raises BadMessage."""
    events = message.get("events")
    if not isinstance(events, list) or len(events) > _MOST_EVENTS:
        raise BadMessage(f"a report has a list of at most {_MOST_EVENTS} events")
    about = message.get("session_id")
    return Report(
        session_id=session_id(message) if about is not None else None,
        boot_id=_text(message, "boot_id", 64),
        seq=_sequence(message),
        events=tuple(_event(event) for event in events),
    )


# -- what leaves ------------------------------------------------------------------------------------------------------


def verdict(answer: AdmitAnswer) -> Message:
    """The answer to an `admit`."""
    match answer:
        case Admitted():
            return {
                "type": "answer",
                "verdict": "allow",
                "session_id": answer.session_id,
                "recording_id": answer.recording_id,
                "permit": _permit(answer.verdict.permit),
                "recording": {
                    "unseal_public_b64": _b64(answer.unseal_public),
                    "unmask_publics_b64": [_b64(one) for one in answer.unmask_publics],
                },
            }
        case Deny():
            return {
                "type": "answer",
                "verdict": "deny",
                "code": answer.code,
                "message": answer.message,
                "rule_id": answer.rule_id,
            }
        case NeedsApproval():
            return {"type": "answer", "verdict": "needs_approval", "by": answer.by, "rule_id": answer.rule_id}
        case never:
            assert_never(never)


def lease(answer: LeaseAnswer) -> Message:
    """The answer to a `lease`: the one message of this link that holds a secret."""
    return {
        "type": "answer",
        "lease_id": answer.lease_id,
        "address": answer.address,
        "port": answer.port,
        "host_key": answer.host_key,
        "account": answer.account,
        "credential": {"kind": answer.kind, "secret": answer.secret.reveal()},
    }


def renewed(not_after: datetime) -> Message:
    """The answer to a `renew`."""
    return {"type": "answer", "not_after_ms": milliseconds(not_after)}


def hold_refused() -> Message:
    """The answer to a `hold`."""
    return {"type": "answer", "decision": "refuse"}


def welcome() -> Message:
    """The answer to a hello: somebody listens on this socket, and not only the kernel."""
    return {"type": "welcome"}


def taken() -> Message:
    """The answer to `ended`, `report` and `ping`."""
    return {"type": "answer"}


def failed(code: str, message: str) -> Message:
    """The answer to what could not be done."""
    return {"type": "failed", "code": code, "message": message}


def order(one: SessionOrder) -> Message:
    """An order to a gateway."""
    message: Message = {
        "type": "order",
        "order": one.order.value,
        "session_id": one.session_id,
        "reason": one.reason,
        "epoch": one.epoch,
    }
    return {**message, "watch_id": one.watch_id} if one.watch_id else message


def probe_order(one: ProbeOrder) -> Message:
    """An order to test a connection."""
    return {
        "type": "order",
        "order": "probe",
        "probe_id": one.probe_id,
        "protocol": one.protocol,
        "address": one.address,
        "port": one.port,
        "key_type": one.key_type,
        "seconds": one.seconds,
    }


def removal_order(tombstone: bytes) -> Message:
    """An order to remove the file of a recording whose tombstone this is."""
    return {"type": "order", "order": "remove", "tombstone": tombstone.decode()}


def release_order(receipt: bytes) -> Message:
    """An order to let the file of a recording go whose verified copy this receipt is of."""
    return {"type": "order", "order": "release", "receipt": receipt.decode()}


def _permit(permit: Permit) -> Message:
    return {
        "permit_id": permit.permit_id,
        "person_id": permit.person_id,
        "person_name": permit.person_name,
        "device_id": permit.device_id,
        "source": permit.source,
        "target_id": permit.target_id,
        "target_name": permit.target_name,
        "account": permit.account,
        "protocol": permit.protocol,
        "not_after_ms": milliseconds(permit.not_after),
        "autonomy_seconds": int(permit.autonomy.total_seconds()),
        "idle_seconds": int(permit.idle.total_seconds()),
        "rules": permit.rules.to_json(),
        "duties": [duty.value for duty in permit.duties],
        "channels": list(permit.channels),
    }


# -- fields -----------------------------------------------------------------------------------------------------------


def _closed(data: Message) -> ClosedFacts:
    state = {"sealed": RecordingState.SEALED, "broken": RecordingState.BROKEN}.get(str(data.get("state")))
    if state is None:
        raise BadMessage("a recording ends sealed or broken")
    try:
        return ClosedFacts(
            state=state,
            frames=_number(data, "frames"),
            batches=_number(data, "batches"),
            bytes_written=_number(data, "bytes"),
            head_sha256=_hex(data, "head_sha256_hex") if data.get("head_sha256_hex") else None,
            head_signature=_binary(data, "head_signature_b64") if data.get("head_signature_b64") else None,
            closed_at=_moment(data, "sealed_at_ms"),
        )
    except ValueError as error:
        raise BadMessage(str(error)) from error


def _event(data: object) -> ReportedEvent:
    if not isinstance(data, dict):
        raise BadMessage("a reported event is an object")
    params = data.get("params", {})
    if not isinstance(params, dict) or not all(isinstance(value, str | int | bool | None) for value in params.values()):
        raise BadMessage("an event's params are texts, numbers, booleans or null")
    return ReportedEvent(_text(data, "code", 80), _moment(data, "at_ms"), params)


def _object(data: Message, name: str) -> Message:
    value = data.get(name)
    if not isinstance(value, dict):
        raise BadMessage(f"`{name}` is an object")
    return value


def _text(data: Message, name: str, longest: int = _LONGEST_TEXT) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value or len(value) > longest:
        raise BadMessage(f"`{name}` is a text of 1 to {longest} characters")
    return value


def _number(data: Message, name: str) -> int:
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
        raise BadMessage(f"`{name}` is a whole number, zero or more")
    return value


def _sequence(data: Message) -> int:
    value = _number(data, "seq")
    if value < 1:
        raise BadMessage("`seq` counts from one")
    return value


def _moment(data: Message, name: str) -> datetime:
    try:
        return from_milliseconds(_number(data, name))
    except (ValueError, OverflowError, OSError) as error:
        raise BadMessage(f"`{name}` is milliseconds since the epoch") from error


def _binary(data: Message, name: str) -> bytes:
    value = data.get(name)
    if not isinstance(value, str):
        raise BadMessage(f"`{name}` is base64")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadMessage(f"`{name}` is base64") from error


def _hex(data: Message, name: str) -> bytes:
    try:
        return bytes.fromhex(_text(data, name, 128))
    except ValueError as error:
        raise BadMessage(f"`{name}` is hexadecimal") from error


def _address(data: Message, name: str) -> str:
    try:
        address = ip_address(_text(data, name, 45))
    except ValueError as error:
        raise BadMessage(f"`{name}` is an address") from error
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
