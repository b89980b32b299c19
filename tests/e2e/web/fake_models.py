"""The shapes of the plant API as the console reads them: what the stand-in answers is checked by these."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Language = Literal["zh-CN", "en"]
Role = Literal["system_administrator", "security_administrator", "plant_admin", "auditor", "vendor_engineer"]
Parameter = str | int | bool | None


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class FieldError(Shape):
    pointer: str
    message: str


class Problem(Shape):
    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    params: dict[str, Parameter] = {}
    errors: list[FieldError] = []


class Named(Shape):
    id: str
    display_name: str


class NamedThing(Shape):
    id: str
    name: str


class Person(Shape):
    id: str
    username: str
    display_name: str
    role: str
    language: str


class SessionView(Shape):
    person: Person
    permissions: list[str]
    csrf_token: str


class SignIn(Shape):
    username: str
    password: str
    totp: str


class LanguageChoice(Shape):
    language: Language


class ActivationToken(Shape):
    token: str


class ActivationBegun(Shape):
    username: str
    display_name: str
    totp_secret: str
    totp_uri: str


class ActivationCompletion(Shape):
    token: str
    password: str
    totp: str


class PersonItem(Shape):
    id: str
    username: str
    display_name: str
    role: str
    company: str | None = None
    language: str
    state: str
    created_at: str


class Activated(Shape):
    confirmation_code: str | None


class Confirmation(Shape):
    code: Annotated[str, Field(min_length=1, max_length=40)]


class NewPerson(Shape):
    username: Annotated[str, Field(min_length=1, max_length=64)]
    display_name: Annotated[str, Field(min_length=1, max_length=120)]
    role: Role
    company: str | None = None
    language: Language


class PersonCreated(Shape):
    person: PersonItem
    activation_token: str
    activation_url: str | None


class MessageText(Shape):
    text: str = Field(min_length=1, max_length=500)


class NewInvite(Shape):
    person_id: str


class InviteCreated(Shape):
    invite_id: str
    invite_text: str
    expires_at: str


class DeviceItem(Shape):
    id: str
    person: Named
    name: str
    state: str
    short_code: str
    key_storage: str
    operating_system: str
    enrolled_at: str
    trusted_at: str | None = None
    last_knock_at: str | None = None
    certificate_not_after: str
    allow_header_address: bool = True
    loose_clock: bool = False
    renewal_pending: bool = False


class ShortCode(Shape):
    short_code: str


class DevicePolicy(Shape):
    allow_header_address: bool
    loose_clock: bool = False


class ZoneItem(NamedThing):
    created_at: str


class NewZone(Shape):
    name: Annotated[str, Field(min_length=1, max_length=80)]


class Endpoint(Shape):
    address: str
    port: Annotated[int, Field(ge=1, le=65535)]
    host_key: str


class TargetItem(Shape):
    id: str
    name: str
    zone_id: str
    zone: str
    address: str
    port: int
    protocol: str
    host_key: str
    description: str
    accounts: list[str]
    created_at: str
    retired_at: str | None = None


class NewTarget(Shape):
    name: Annotated[str, Field(min_length=1, max_length=80)]
    zone_id: str
    address: str
    port: Annotated[int, Field(ge=1, le=65535)]
    protocol: Literal["ssh"]
    host_key: str
    description: str = ""
    accounts: list[str]


class NewCredential(Shape):
    account: str
    kind: Literal["password", "private_key"]
    secret: Annotated[str, Field(min_length=1)]


class Created(Shape):
    id: str


class Notice(Shape):
    code: str
    params: dict[str, str] = {}


class RequestDevice(Shape):
    id: str
    name: str
    state: str


class Approval(Shape):
    person: Named
    at: str
    duration_seconds: int


class AccessRequestItem(Shape):
    id: str
    person: Named
    company: str | None
    device: RequestDevice
    source: str
    target: NamedThing
    zone: NamedThing
    account: str
    protocol: str
    reason: str
    work_order: str
    starts_at: str
    ends_at: str
    starts_on_approval: bool
    duration_seconds: int
    state: str
    submitted_at: str
    decided_by: Named | None = None
    decided_at: str | None = None
    decision_reason: str | None = None
    approvals: list[Approval] = []
    notices: list[Notice] = []


class Approve(Shape):
    duration_seconds: Annotated[int, Field(ge=60)] | None = None


class Reason(Shape):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class GrantItem(Shape):
    id: str
    request_id: str
    person: Named
    device: NamedThing
    target: NamedThing
    account: str
    protocol: str
    not_before: str
    not_after: str
    state: str
    issued_at: str
    ended_at: str | None = None
    end_reason: str | None = None


class ProbeAddress(Shape):
    address: str
    port: int = Field(ge=1, le=65535)
    protocol: Literal["ssh"] = "ssh"


class ProbeItem(Shape):
    probe_id: str
    at: str
    outcome: str
    host_key: str | None = None
    fingerprint: str | None = None
    pinned_fingerprint: str | None = None
    key_differs: bool | None = None
    milliseconds: int = 31


class CredentialStateItem(Shape):
    account: str
    state: Literal["absent", "bound", "detached"]


class CredentialStates(Shape):
    items: list[CredentialStateItem]


class Part(Shape):
    name: str
    ready: bool


class GuardItem(Shape):
    state: str
    said_at: str
    roster_version: int
    roster_sent: int
    counters: dict[str, int]


class FirewallItem(Shape):
    is_whole: bool
    windows: int
    ways: int


class TrailItem(Shape):
    last_seq: int
    witnessed_seq: int
    witnessed_at: str | None
    records_behind: int
    problem: str | None = None


class SpaceItem(Shape):
    free_bytes: int
    size_bytes: int


class ForecastItem(Shape):
    level: str
    observed_days: float
    bytes_per_day: int
    kept_bytes: int
    free_bytes: int
    usable_bytes: int
    days_until_full: int | None
    full_at: str | None
    days_held: int | None
    keep_days: int


class ExpiryItem(Shape):
    name: str
    ends_at: str


class ObjectStoreItem(Shape):
    bucket: str
    problem: str | None
    checked_at: str | None
    copies: dict[str, int]
    failing: int
    waiting_bytes: int


class HealthItem(Shape):
    checked_at: str
    release: str
    parts: list[Part]
    gateway_workers: list[str]
    guard: GuardItem | None
    firewall: FirewallItem | None
    trail: TrailItem | None
    recordings: SpaceItem | None
    forecast: ForecastItem | None
    object_store: ObjectStoreItem | None
    certificates: list[ExpiryItem]


class StepItem(Shape):
    code: str
    state: Literal["done", "waiting", "open"]


class SetUpItem(Shape):
    complete: bool
    steps: list[StepItem]


class Held(Shape):
    at: str
    reason: str


class SessionItem(Shape):
    id: str
    grant_id: str
    person: Named
    device: NamedThing
    source: str
    target: NamedThing
    account: str
    protocol: str
    state: Literal["pending", "live", "closing", "closed"]
    started_at: str | None
    ended_at: str | None = None
    end_reason: str | None = None
    recording_id: str | None = None
    admitted_at: str
    not_after: str
    exit_status: int | None = None
    commands_blocked: int = 0
    recording_health: str = "good"
    must_be_watched: bool = False
    frozen: Held | None = None
    watchers: list[Named] = []


class Receipt(Shape):
    state: Literal["received", "refused", "missing", "awaited"]
    at: str | None = None
    refusal: str | None = None
    receipt: str | None = None


class Verification(Shape):
    state: str
    checked_at: str
    first_bad: int | None = None
    kind: str | None = None
    heads: int = 3
    trail: str = "witnessed"


class CopyItem(Shape):
    state: Literal["growing", "stored", "verified", "released"]
    uploaded_bytes: int
    version: str | None = None
    locked_until: str | None = None
    verified_at: str | None = None
    released_at: str | None = None
    is_held: bool = False
    problem: str | None = None


class RecordingView(Shape):
    id: str
    session_id: str
    state: Literal["open", "sealed", "broken"]
    duration_ms: int | None
    opened_at: str
    closed_at: str | None = None
    signing_key: str
    head_sha256: str | None = None
    frames: int
    bytes: int
    place: Literal["local", "both", "object_store", "gone"] = "local"
    copied: CopyItem | None = None
    verification: Verification
    width: int | None
    height: int | None


class Times(Shape):
    state: Literal["ready", "preparing"]
    created_at_ms: int
    columns: int
    rows: int
    duration_ms: int
    chunks: list[int]
    silences: list[tuple[int, int]]


class Chunk(Shape):
    at_ms: int
    columns: int
    rows: int
    screen: str
    events: list[tuple[int, Literal["o", "r"], str]]


class RecordingEvent(Shape):
    at_ms: int
    kind: str
    text: str
    rule_id: str | None = None


class RecordingEvents(Shape):
    items: list[RecordingEvent]


class AuditItem(Shape):
    seq: int
    at: str
    code: str
    actor: str
    subject: str
    params: dict[str, Parameter]
    hash: str


class ChainState(Shape):
    last_seq: int
    head: str
    verified: bool
    checked_at: str
    broken_at: int | None = None
    broken_how: str | None = None


class People(Shape):
    items: list[PersonItem]
    next_cursor: str | None = None


class Devices(Shape):
    items: list[DeviceItem]
    next_cursor: str | None = None


class Zones(Shape):
    items: list[ZoneItem]
    next_cursor: str | None = None


class Targets(Shape):
    items: list[TargetItem]
    next_cursor: str | None = None


class AccessRequests(Shape):
    items: list[AccessRequestItem]
    next_cursor: str | None = None


class Grants(Shape):
    items: list[GrantItem]
    next_cursor: str | None = None


class Sessions(Shape):
    items: list[SessionItem]
    next_cursor: str | None = None


class AuditEvents(Shape):
    items: list[AuditItem]
    next_cursor: str | None = None
