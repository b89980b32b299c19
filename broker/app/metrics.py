"""What an operator's Prometheus reads of the control plane: counts and states, never a person, device or address.

Served at `/metrics` of the plant face, on the management network only, for whoever holds the token of the settings'
`metrics.token_file`. The text is Prometheus's exposition format 0.0.4.
"""

import hashlib
import hmac
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import PlainTextResponse, Response
from sqlalchemy import func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from broker.adapters.opener import OpenerStatus
from broker.app.doctor import expiries
from broker.app.house import House
from broker.app.layout import Layout
from broker.audit.model import AuditEvent, catalogue
from broker.audit.store import AuditEventRow, OutboxRow
from broker.kernel.errors import Unavailable
from broker.knock_link.model import LinkHealth
from broker.recordings.copy_model import StoreState
from broker.recordings.forecast import Forecast, Level
from broker.sessions.events import SessionRefused
from broker.sessions.model import SessionState
from broker.sessions.store import SessionRow

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LEAST_TOKEN: Final = 32
_MOST_LABELS: Final = 100
_MAX_STAGES: Final = 32
_REFUSED: Final = "refused_"


class MetricsError(Exception):
    """The token file cannot be used: says why."""


@dataclass(frozen=True)
class Family:
    """One metric: its samples by the values of its one label, or a single sample under the empty name."""

    name: str
    kind: str
    meaning: str
    label: str = ""
    samples: Mapping[str, float] = field(default_factory=dict)


def rendered(families: Iterable[Family]) -> str:
    """The families in the exposition format; a family without samples is left out."""
    lines = []
    for family in families:
        if not family.samples:
            continue
        lines += [f"# HELP {family.name} {family.meaning}", f"# TYPE {family.name} {family.kind}"]
        for value_of_label, sample in sorted(family.samples.items()):
            label = f'{{{family.label}="{_escaped(value_of_label)}"}}' if family.label else ""
            lines.append(f"{family.name}{label} {_number(sample)}")
    return "\n".join([*lines, ""])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


class SiteMetrics:
    """Counts events as they are delivered, and asks everything else when it is read."""

    def __init__(self, house: House, layout: Layout) -> None:
        self._house = house
        self._layout = layout
        self._lock = threading.Lock()
        self._events: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        for event_class in catalogue().values():
            house.reactions.subscribe(event_class, self._count)

    def _count(self, event: AuditEvent) -> None:
        with self._lock:
            self._events[event.code] += 1
            if isinstance(event, SessionRefused):
                known = event.refusal in self._refusals or len(self._refusals) < _MOST_LABELS
                self._refusals[event.refusal if known else "other"] += 1

    def text(self) -> str:
        """Everything, now."""
        with self._lock:
            events, refusals = dict(self._events), dict(self._refusals)
        free = shutil.disk_usage(self._layout.recordings)
        return rendered(
            [
                Family("sallyport_build_info", "gauge", "This release.", "version", {release(): 1}),
                Family(
                    "sallyport_part_ready", "gauge", "Whether a needed part answers.", "part", self._house.readiness()
                ),
                Family(
                    "sallyport_gateway_workers",
                    "gauge",
                    "Gateway workers that are connected.",
                    samples={"": len(self._house.authority.workers)},
                ),
                Family(
                    "sallyport_audit_writable",
                    "gauge",
                    "1 while the audit trail can be written; at 0 no session begins.",
                    samples={"": int(self._house.trail.is_writable)},
                ),
                Family(
                    "sallyport_audit_write_failures_total",
                    "counter",
                    "Writes that the database could not do since the start.",
                    samples={"": self._house.trail.state().failures},
                ),
                *self._of_database(),
                Family(
                    "sallyport_audit_events_total",
                    "counter",
                    "Audit events delivered since the start.",
                    "code",
                    events,
                ),
                Family(
                    "sallyport_admissions_refused_total",
                    "counter",
                    "Connections that were not admitted since the start.",
                    "code",
                    refusals,
                ),
                *of_guard(self._house.knock_link.health()),
                *self._of_firewall(),
                Family(
                    "sallyport_shared_sources",
                    "gauge",
                    "Addresses that stand for several parties.",
                    samples={"": len(self._house.sources.shared(self._house.clock.now()))},
                ),
                Family(
                    "sallyport_recordings_free_bytes", "gauge", "Free space for recordings.", samples={"": free.free}
                ),
                Family(
                    "sallyport_recordings_size_bytes",
                    "gauge",
                    "Size of the file system of recordings.",
                    samples={"": free.total},
                ),
                *self._of_retention(),
                *self._of_object_store(),
                Family(
                    "sallyport_certificate_expiry_timestamp_seconds",
                    "gauge",
                    "When a certificate that control can read ends.",
                    "certificate",
                    {name: ends_at.timestamp() for name, ends_at in expiries(self._layout)},
                ),
            ]
        )

    def _of_firewall(self) -> list[Family]:
        try:
            return of_firewall(self._house.opener.status())
        except Unavailable:
            return []

    def _of_retention(self) -> list[Family]:
        try:
            return of_retention(self._house.forecasting.outlook(), *self._house.removals.counts())
        except (SQLAlchemyError, OSError):
            return []

    def _of_object_store(self) -> list[Family]:
        try:
            return of_object_store(self._house.copying.state()) if self._house.copying is not None else []
        except SQLAlchemyError:
            return []

    def _of_database(self) -> list[Family]:
        try:
            with self._house.database.reading() as session:
                return of_database(session)
        except SQLAlchemyError:
            return []


def of_database(session: Session) -> list[Family]:
    """What only the database knows."""
    counted = session.exec(
        select(col(SessionRow.state), func.count())
        .where(SessionRow.state != SessionState.CLOSED)
        .group_by(col(SessionRow.state))
    ).all()
    by_state = {state.value: 0 for state in SessionState if state is not SessionState.CLOSED}
    by_state.update({state.value: count for state, count in counted})
    waiting = session.exec(select(func.count()).select_from(OutboxRow)).one()
    last = session.exec(select(func.max(AuditEventRow.seq))).one()
    return [
        Family("sallyport_sessions", "gauge", "Sessions that are not closed.", "state", by_state),
        Family("sallyport_outbox_waiting", "gauge", "Events that wait for delivery.", samples={"": waiting}),
        Family("sallyport_audit_last_seq", "gauge", "Number of the newest audit event.", samples={"": last or 0}),
    ]


def of_retention(outlook: Forecast, on_hold: int, waiting: int) -> list[Family]:
    """How long the room for recordings lasts, and what waits. Days that nobody can reckon are left out."""

    def gauge(name: str, meaning: str, value: float | None) -> Family:
        return Family(f"sallyport_recordings_{name}", "gauge", meaning, samples={} if value is None else {"": value})

    levels = {level.value: float(level is outlook.level) for level in Level}
    return [
        Family("sallyport_recordings_forecast", "gauge", "1 for the level of the forecast.", "level", levels),
        gauge("bytes_per_day", "What the last weeks recorded a day.", outlook.bytes_per_day),
        gauge("days_until_full", "Days until no session begins, if that goes on.", outlook.days_until_full),
        gauge("days_held", "For how many days the disk can hold recordings.", outlook.days_held),
        gauge("keep_days", "For how many days recordings are kept.", outlook.keep_days),
        gauge("on_hold", "Recordings that bear a legal hold.", on_hold),
        gauge("waiting_for_removal", "Destroyed recordings whose files no gateway has removed yet.", waiting),
    ]


def of_object_store(state: StoreState) -> list[Family]:
    """How the store of objects is, and the copies."""
    copies = {name: float(count) for name, count in state.counts.items()}

    def gauge(name: str, meaning: str, value: float) -> Family:
        return Family(f"sallyport_object_store_{name}", "gauge", meaning, samples={"": value})

    return [
        gauge("usable", "1 while the store of objects answers and can lock objects.", float(state.problem is None)),
        gauge("failing_copies", "Recordings whose last try to copy failed.", state.failing),
        gauge("waiting_bytes", "Bytes of recordings that ended and have no verified copy yet.", state.waiting_bytes),
        Family("sallyport_object_store_copies", "gauge", "Copies of recordings.", "state", copies),
    ]


def of_guard(health: LinkHealth) -> list[Family]:
    """What the guard last said of itself; it counts anew when it starts anew."""
    status = health.status
    if status is None:
        return []
    refused = {
        name.removeprefix(_REFUSED): float(count)
        for name, count in list(status.counters.items())[:_MOST_LABELS]
        if name.startswith(_REFUSED)
    }
    gate = {status.gate: 1.0} if status.gate else {}
    accepted = {"": float(status.counters.get("accepted", 0))}
    return [
        Family("sallyport_guard_state", "gauge", "1 for the state the guard is in.", "state", {status.state: 1}),
        Family(
            "sallyport_guard_status_timestamp_seconds",
            "gauge",
            "When the guard last told its state.",
            samples={"": status.received_at.timestamp()},
        ),
        Family(
            "sallyport_guard_fault",
            "gauge",
            "1 for each fault that keeps the guard from accepting knocks.",
            "fault",
            dict.fromkeys(status.faults, 1.0),
        ),
        Family("sallyport_knock_gate", "gauge", "1 for what the kernel lets through to the guard.", "gate", gate),
        Family(
            "sallyport_knocks_shed_at_socket_total",
            "counter",
            "Datagrams that the kernel dropped at the knock sockets.",
            samples={"": float(status.counters.get("shed_at_socket", 0))},
        ),
        Family("sallyport_knocks_accepted_total", "counter", "Knocks that opened a door.", samples=accepted),
        Family("sallyport_knocks_refused_total", "counter", "Knocks that opened nothing.", "reason", refused),
    ]


def of_firewall(status: OpenerStatus) -> list[Family]:
    """What the kernel counted by stage, and how full our sets are."""
    return [
        Family(
            "sallyport_firewall_packets_total",
            "counter",
            "Packets that the kernel counted, by stage.",
            "stage",
            {name: float(count) for name, count in list(status.counters.items())[:_MAX_STAGES]},
        ),
        Family(
            "sallyport_firewall_elements",
            "gauge",
            "Elements in the firewall's sets; 65536 are the most.",
            "set",
            {
                "open": status.windows_total,
                "egress": status.ways_total,
                "revoked": status.revoked_total,
                "seen": status.used_nonces_total,
            },
        ),
        Family(
            "sallyport_firewall_whole",
            "gauge",
            "Whether the rules in the kernel are ours.",
            samples={"": float(status.rules_are_whole)},
        ),
    ]


def token_of(path: str) -> str | None:
    """The token of this file; None when no file is named, which means that there are no metrics.

    Raises MetricsError when the file cannot be read or its token is shorter than 32 characters.
    """
    if not path:
        return None
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MetricsError(f"metrics.token_file: {path} cannot be read ({type(error).__name__})") from None
    if len(token) < _LEAST_TOKEN:
        raise MetricsError(f"metrics.token_file: the token in {path} has fewer than {_LEAST_TOKEN} characters")
    return token


def router(metrics: SiteMetrics, token: str | None) -> APIRouter:
    """The route `/metrics`. Without a token there is nothing at this address."""
    made = APIRouter()
    expected = hashlib.sha256(token.encode()).digest() if token is not None else None

    @made.get("/metrics", include_in_schema=False)
    def read(request: Request) -> Response:
        if expected is None:
            raise HTTPException(404, "There is nothing at this address.")
        scheme, _, offered = request.headers.get("Authorization", "").partition(" ")
        matches = hmac.compare_digest(hashlib.sha256(offered.strip().encode()).digest(), expected)
        if scheme.lower() != "bearer" or not matches:
            return Response(status_code=401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
        return PlainTextResponse(metrics.text(), media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})

    return made


def release() -> str:
    """The installed release; `unreleased` when the code runs from a checkout."""
    try:
        return version("sallyport")
    except PackageNotFoundError:
        return "unreleased"
