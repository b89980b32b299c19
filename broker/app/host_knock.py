"""`sallyport knock status`: root asks control, and the opener itself when control is away, what the knock is doing."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from broker.adapters.opener import Opener
from broker.app.knock_status import opened
from broker.knock_link.explain import SUMMARY
from spa_knock.link.framing import Decoder, FramingError, encode

_SECONDS: Final = 10.0
_READ_BYTES: Final = 65_536
_STAGES: Final[Mapping[str, str]] = {
    "shed_fragments": "fragments dropped before reassembly",
    "shed_length": "of a wrong length dropped before connection tracking",
    "shed_nonce": "repeats of used nonces dropped before connection tracking",
    "knocks_to_socket": "let through to the guard's socket",
    "door_connections": "TCP connections let in at an open door",
    "strangers_packets": "other packets that met a closed door",
    "revoked_packets": "of revoked devices refused",
}

_FAULTS: Final[Mapping[str, str]] = {
    "clock": "this host's clock jumped; it waits ten seconds",
    "roster": "control has sent no fresh roster (sallyport doctor)",
    "gateway_link": "the gateway is not there (sallyport doctor)",
    "opener_link": "the opener is not there (sallyport doctor)",
    "firewall": "the opener cannot open: rules that are not ours, or a kernel that refuses (sallyport doctor)",
    "stamps": "its stamps cannot be written: see its disk and journal",
}
_GATES: Final[Mapping[str, str]] = {
    "closed": "the kernel lets nothing through to the guard yet",
    "length_only": "the kernel checks the length alone: raise net.core.optmem_max and restart the guard",
}
_OF_GUARD: Final[Mapping[str, str]] = {
    "shed_at_socket": "dropped at the socket: no gate tag that fits",
    "nonces_shed": "nonces shed after 64 packets that failed",
    "firewall_full": "refused because a set of the firewall was full",
}

Status = Mapping[str, object]


class HostKnockError(Exception):
    """The status cannot be had: says what is in the way and what to do."""


def asked(path: Path) -> Status | None:
    """What control says on its status socket; None when it does not answer. Raises HostKnockError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(_SECONDS)
            try:
                sock.connect(str(path))
            except ConnectionRefusedError:
                return None
            sock.sendall(encode({"type": "status"}))
            decoder = Decoder()
            while data := sock.recv(_READ_BYTES):
                for answer in decoder.feed(data):
                    return answer
    except PermissionError:
        raise HostKnockError("only root may ask: run it as root on the broker's host") from None
    except ConnectionError:
        raise _closed() from None
    except (OSError, FramingError):
        return None
    raise _closed()


def _closed() -> HostKnockError:
    return HostKnockError("control closed the connection: run this as root on the broker's host")


def without_control(opener_socket: Path) -> Status:
    """What the opener alone says. The caller must be control's user: the socket is for nobody else."""
    opener = Opener(opener_socket)
    try:
        told = opened(opener, lambda _knock_id: {"device_id": None})
    finally:
        opener.close()
    return {"type": "status", "guard": None, "opener": told, "refusals": [], "shared_sources": []}


def lines(status: Status) -> list[str]:
    """The status for people (pure)."""
    return [
        *_of_guard(status.get("guard")),
        *_of_opener(_object(status.get("opener"))),
        *_of_refusals(_objects(status.get("refusals"))),
        *_of_sources(_objects(status.get("shared_sources"))),
    ]


def _of_guard(value: object) -> list[str]:
    if value is None:
        return ["guard     not known: control does not answer (sallyport doctor)"]
    guard = _object(value)
    if guard.get("state") is None:
        word = "connected, has said nothing yet" if guard.get("connected") else "not connected to control"
        return [f"guard     {word}"]
    ports = ", ".join(str(port) for port in _list(guard.get("ports")))
    link = "" if guard.get("connected") else "; ITS LINK TO CONTROL IS DOWN"
    told = [f"guard     {guard['state']}, UDP {ports}, said {guard.get('said_seconds_ago')} s ago{link}"]
    if guard.get("roster_version") != guard.get("sent_version"):
        told.append(f"          its roster is {guard.get('roster_version')}, {guard.get('sent_version')} was sent")
    told += [f"          ACCEPTS NOTHING: {_FAULTS.get(str(one), one)}" for one in _list(guard.get("faults"))]
    told += [f"          {_GATES[gate]}" for gate in (str(guard.get("gate")),) if gate in _GATES]
    counters = _object(guard.get("counters"))
    told.append(f"knocks    {counters.get('accepted', 0)} accepted since the guard's start")
    for name, count in sorted(counters.items(), key=lambda one: -_number(one[1])):
        reason = name.removeprefix("refused_")
        if reason != name:
            told.append(f"          {count} refused: {SUMMARY.get(reason, reason)} [{reason}]")
    told += [f"          {counters[name]} {words}" for name, words in _OF_GUARD.items() if name in counters]
    return told


def _of_opener(opener: Status) -> list[str]:
    if opener.get("answers") is not True:
        return [f"opener    DOES NOT ANSWER: {opener.get('problem', 'no reason')}"]
    told = [] if opener.get("rules_are_whole") is not False else ["kernel    THE RULES ARE NOT OURS: nothing is opened"]
    counters = _object(opener.get("counters"))
    told += [f"kernel    {counters.get(name, 0)} {words}" for name, words in _STAGES.items()]
    told += [f"          {count} {name}" for name, count in counters.items() if name not in _STAGES]
    told.append(f"open      {opener.get('windows_total', 0)} windows, {opener.get('ways_total', 0)} ways to targets")
    for one in _objects(opener.get("windows")):
        who = ", ".join(_who(knock) for knock in _objects(one.get("knocks"))) or "no knock is known for it"
        told.append(
            f"          door {one.get('door')} for {one.get('address')}: {who}, {one.get('seconds_left')} s left"
        )
    return told


def _of_refusals(refusals: Sequence[Status]) -> list[str]:
    told = ["refused   devices whose last knocks were refused:"] if refusals else []
    for one in refusals:
        told.append(f"          {_who(one)} from {one.get('source')}, {one.get('count')}x, last {one.get('at')}:")
        told.append(f"            {one.get('found')}")
        if one.get("do"):
            told.append(f"            Do: {one['do']}")
    return told


def _of_sources(sources: Sequence[Status]) -> list[str]:
    if not sources:
        return []
    return [
        "shared    addresses that stand for several parties (address translation), not for one neighbour:",
        *(
            f"          {one.get('address')}: {one.get('devices')} devices, {one.get('strangers')} strangers in a day"
            for one in sources
        ),
    ]


def _who(one: Status) -> str:
    identity = one.get("device_id")
    if identity is None:
        return "a knock that control does not know"
    return f"{one['device']} of {one.get('owner')} ({identity})" if one.get("device") else str(identity)


def _object(value: object) -> Status:
    return value if isinstance(value, Mapping) else {}


def _objects(value: object) -> list[Status]:
    return [one for one in _list(value) if isinstance(one, Mapping)]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
