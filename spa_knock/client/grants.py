"""Which grant lets a name in, and if none does, why not (pure)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from spa_knock.client.errors import ClientError
from spa_knock.client.fields import FieldError, as_object, get_objects, get_optional_text, get_text
from spa_knock.client.language import tr

_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
_LIVE = frozenset({"issued", "active"})
_NAME = re.compile(r"(?:(?P<account>[A-Za-z0-9._-]{1,64})\+)?(?P<target>[A-Za-z0-9][A-Za-z0-9._-]{0,100})", re.ASCII)


@dataclass(frozen=True)
class Wanted:
    """What an ssh name asks for: a target, and an account when one is named."""

    target: str
    account: str | None = None


@dataclass(frozen=True)
class Grant:
    id: str
    target: str
    account: str | None
    protocol: str
    not_before: datetime
    not_after: datetime
    state: str


@dataclass(frozen=True)
class Asked:
    """One access request, as far as it explains why there is no grant."""

    id: str
    target: str
    state: str
    decision_reason: str | None


def read_name(name: str, ssh_domain: str) -> Wanted:
    """`[account+]target[.ssh_domain]`, as in `ssh plc3.plant` or `ssh root+plc3.plant`. Raises ClientError."""
    bare = name[: -len(ssh_domain) - 1] if name.lower().endswith(f".{ssh_domain}") else name
    found = _NAME.fullmatch(bare)
    if found is None:
        raise ClientError(
            "usage",
            tr("This is not the name of a target"),
            tr("names look like TARGET.{ssh_domain} or ACCOUNT+TARGET.{ssh_domain}", ssh_domain=ssh_domain),
            tr("Run: sally targets"),
        )
    return Wanted(found["target"], found["account"])


def read_grants(body: object) -> list[Grant]:
    """The answer of `GET /grants`. Raises FieldError."""
    return [
        Grant(
            id=get_text(item, "id", most=64),
            target=get_text(item, "target", most=200),
            account=get_optional_text(item, "account", most=200),
            protocol=get_text(item, "protocol", most=20),
            not_before=moment(get_text(item, "not_before", most=40)),
            not_after=moment(get_text(item, "not_after", most=40)),
            state=get_text(item, "state", most=40),
        )
        for item in _items(body)
    ]


def read_asked(body: object) -> list[Asked]:
    """The answer of `GET /access-requests`. Raises FieldError."""
    return [
        Asked(
            id=get_text(item, "id", most=64),
            target=get_text(item, "target", most=200),
            state=get_text(item, "state", most=40),
            decision_reason=get_optional_text(item, "decision_reason", most=2000),
        )
        for item in _items(body)
    ]


def choose_grant(grants: Sequence[Grant], wanted: Wanted, now: datetime) -> Grant | None:
    """The SSH grant that is open now; of several the one that stays open longest."""
    fitting = [grant for grant in _of(grants, wanted) if grant.protocol == "ssh" and _is_open(grant, now)]
    return max(fitting, key=lambda grant: grant.not_after, default=None)


def is_still_open(grants: Sequence[Grant], grant_id: str, now: datetime) -> bool:
    """Whether the site still lists this grant as one that lets in now."""
    return any(grant.id == grant_id and _is_open(grant, now) for grant in grants)


def _is_open(grant: Grant, now: datetime) -> bool:
    return grant.state in _LIVE and grant.not_before <= now < grant.not_after


def why_no_grant(grants: Sequence[Grant], asked: Sequence[Asked], wanted: Wanted, now: datetime) -> ClientError:
    """The most useful reason, in the order in which a person would want to hear it. `asked` has the newest first."""
    of_target = _of(grants, wanted)
    coming = [grant for grant in of_target if grant.state in _LIVE and grant.not_before > now]
    if coming:
        opens_at = min(grant.not_before for grant in coming)
        return ClientError(
            "outside_window",
            tr("Access to {target} is not open yet", target=wanted.target),
            tr("it opens at {opens_at}", opens_at=shown(opens_at)),
            tr("Connect again then"),
        )
    requests = [request for request in asked if request.target.lower() == wanted.target.lower()]
    waiting = [request for request in requests if request.state == "submitted"]
    if waiting:
        return ClientError(
            "not_approved_yet",
            tr("Access to {target} is not approved yet", target=wanted.target),
            tr("request {id} is waiting for approval", id=waiting[0].id),
            tr("See: sally requests"),
        )
    if any(grant.state == "revoked" for grant in of_target):
        return ClientError(
            "denied",
            tr("Access to {target} was taken back", target=wanted.target),
            tr("its grant was revoked"),
            tr("Ask the plant"),
        )
    if of_target:
        ended_at = max(grant.not_after for grant in of_target)
        return ClientError(
            "outside_window",
            tr("Access to {target} is over", target=wanted.target),
            tr("the last grant ended at {ended_at}", ended_at=shown(ended_at)),
            tr("Ask again: sally request {target}", target=wanted.target),
        )
    if requests and requests[0].state == "denied":
        return ClientError(
            "denied",
            tr("Access to {target} was denied", target=wanted.target),
            requests[0].decision_reason or tr("no reason was given"),
            tr("Ask the plant, or make a new request"),
        )
    return ClientError(
        "not_approved_yet",
        tr("No access to {target}", target=wanted.target),
        tr("nobody has asked for it, or there is no target of that name"),
        tr("Ask for it: sally request {target} (names: sally targets)", target=wanted.target),
    )


def grant_bytes(grant_id: str) -> bytes:
    """The 16 bytes of a grant's id as a knock names it: 26 base32 digits after the prefix. Raises FieldError."""
    prefix, _, digits = grant_id.partition("_")
    number = 0
    for digit in digits:
        if digit not in _BASE32:
            raise FieldError(tr("not a grant's id"))
        number = number << 5 | _BASE32.index(digit)
    if prefix != "grt" or len(digits) != 26 or number >> 128:
        raise FieldError(tr("not a grant's id"))
    return number.to_bytes(16, "big")


def moment(text: str) -> datetime:
    """An RFC 3339 time with its zone. Raises FieldError."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise FieldError(tr("not an RFC 3339 time")) from None
    if parsed.tzinfo is None:
        raise FieldError(tr("a time without its zone"))
    return parsed.astimezone(UTC)


def shown(at: datetime) -> str:
    """A time for people: this computer's zone, with its offset."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M %z")


def shown_ms(at_ms: int) -> str:
    """Milliseconds of the epoch for people; a number that is no moment stays one."""
    try:
        return shown(datetime.fromtimestamp(at_ms / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return str(at_ms)


def _of(grants: Sequence[Grant], wanted: Wanted) -> list[Grant]:
    # ssh lower-cases the name that it hands on, so targets are told apart without case here.
    return [
        grant
        for grant in grants
        if grant.target.lower() == wanted.target.lower() and wanted.account in (None, grant.account)
    ]


def _items(body: object) -> Sequence[Mapping[str, object]]:
    return get_objects(as_object(body), "items", most=5000)
