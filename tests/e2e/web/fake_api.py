"""A small honest stand-in for the plant API: real cookies, CSRF, one-time codes, permissions and state rules.

`python -m tests.e2e.web.fake_api --port N` serves it with the built console, to look at pages by hand.
"""

import argparse
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import pyotp
import uvicorn
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from broker.identities.model import Role
from broker.identities.rules import PERMISSIONS
from broker.targets.rules import fingerprint
from tests.e2e.web import fake_models as m
from tests.e2e.web.fake_access import COOKIE, AnyHouse, RefusedError, Signed, csrf_of, found, need, page, problem_answer
from tests.e2e.web.fake_console import install_console
from tests.e2e.web.fake_house import SECRET, STEPS, House, build, cast_text, recording_events, stamp
from tests.e2e.web.fake_retention import router as retention

Limit = Annotated[int, Query(ge=1, le=200)]
CONFIRMATION = "7K3M-Q0ZT"
PREFIX = "/api/v1"
api = APIRouter(prefix=PREFIX, responses={"4XX": {"model": m.Problem, "content": {"application/problem+json": {}}}})


def view(person: m.PersonItem, token: str) -> m.SessionView:
    short = m.Person(**person.model_dump(include={"id", "username", "display_name", "role", "language"}))
    return m.SessionView(person=short, permissions=sorted(PERMISSIONS[Role(person.role)]), csrf_token=csrf_of(token))


@api.get("/session")
def read_session(person: Signed, request: Request) -> m.SessionView:
    return view(person, request.cookies[COOKIE])


@api.post("/session")
def sign_in(body: m.SignIn, house: AnyHouse, response: Response) -> m.SessionView:
    good = house.passwords.get(body.username) == body.password and pyotp.TOTP(SECRET).verify(body.totp, valid_window=1)
    if not good:
        raise RefusedError(401, "identities.sign_in_refused", "User name, password or code is not right.")
    token = secrets.token_urlsafe(24)
    house.signed_in[token] = body.username
    response.set_cookie(COOKIE, token, secure=True, httponly=True, samesite="strict", path="/")
    return view(house.people[body.username], token)


@api.delete("/session", status_code=204)
def sign_out(person: Signed, request: Request, house: AnyHouse) -> None:
    del house.signed_in[request.cookies[COOKIE]]


@api.put("/session/language", status_code=204)
def choose_language(body: m.LanguageChoice, person: Signed) -> None:
    person.language = body.language


@api.post("/activation/begin")
def begin_activation(body: m.ActivationToken, house: AnyHouse) -> m.ActivationBegun:
    person = house.people.get(house.activations.get(body.token, ""))
    if person is None:
        raise RefusedError(401, "identities.activation_refused", "This link has been used or is no longer valid.")
    uri = pyotp.TOTP(SECRET).provisioning_uri(name=person.username, issuer_name="Sallyport")
    return m.ActivationBegun(
        username=person.username, display_name=person.display_name, totp_secret=SECRET, totp_uri=uri
    )


@api.post("/activation/complete")
def complete_activation(body: m.ActivationCompletion, house: AnyHouse) -> m.Activated:
    username = house.activations.get(body.token)
    if username is None:
        raise RefusedError(401, "identities.activation_refused", "This link has been used or is no longer valid.")
    if not pyotp.TOTP(SECRET).verify(body.totp, valid_window=1):
        raise RefusedError(422, "identities.wrong_code", "The code does not match.")
    del house.activations[body.token]
    house.passwords[username] = body.password
    house.people[username].state = "unconfirmed"
    return m.Activated(confirmation_code=CONFIRMATION)


@api.get("/people", dependencies=[need("identities.person.read")])
def list_people(house: AnyHouse, limit: Limit = 50, cursor: str | None = None) -> m.People:
    items, following = page(list(house.people.values()), limit, cursor)
    return m.People(items=items, next_cursor=following)


@api.post("/people", status_code=201, dependencies=[need("identities.person.create")])
def create_person(body: m.NewPerson, house: AnyHouse, request: Request) -> m.PersonCreated:
    if body.username in house.people:
        raise RefusedError(409, "identities.username_taken", "There is already a person with this user name.")
    person = m.PersonItem(id=house.next_id("psn"), state="invited", created_at=stamp(house.now), **body.model_dump())
    house.people[body.username] = person
    token = secrets.token_urlsafe(24)
    house.activations[token] = body.username
    return m.PersonCreated(
        person=person,
        activation_token=token,
        activation_url=None if body.role == "vendor_engineer" else f"{request.base_url}activate#{token}",
    )


@api.post("/people/{person_id}/confirm", dependencies=[need("identities.person.confirm")])
def confirm_person(person_id: str, body: m.Confirmation, house: AnyHouse) -> m.PersonItem:
    person = found(next((p for p in house.people.values() if p.id == person_id), None))
    if person.state != "unconfirmed":
        raise RefusedError(409, "identities.not_to_be_confirmed", "This person does not wait for a confirmation.")
    if body.code.upper() != CONFIRMATION:
        raise RefusedError(422, "identities.confirmation_code_differs", "Not the code the person was shown.")
    person.state = "active"
    return person


@api.post("/people/{person_id}/reset", dependencies=[need("identities.person.reset")])
def reset_person(person_id: str, house: AnyHouse, request: Request) -> m.PersonCreated:
    person = found(next((p for p in house.people.values() if p.id == person_id), None))
    person.state = "invited"
    token = secrets.token_urlsafe(24)
    house.activations[token] = person.username
    link = None if person.role == "vendor_engineer" else f"{request.base_url}activate#{token}"
    return m.PersonCreated(person=person, activation_token=token, activation_url=link)


@api.post("/people/{person_id}/suspend", dependencies=[need("identities.person.suspend")])
def suspend_person(person_id: str, house: AnyHouse) -> m.PersonItem:
    person = found(next((p for p in house.people.values() if p.id == person_id), None))
    person.state = "suspended"
    return person


@api.post("/device-invites", status_code=201, dependencies=[need("devices.invite.create")])
def invite(body: m.NewInvite, house: AnyHouse) -> m.InviteCreated:
    found(next((p for p in house.people.values() if p.id == body.person_id), None))
    text = "sallyport-invite-1." + secrets.token_urlsafe(900)
    expires = stamp(house.now + timedelta(minutes=15))
    return m.InviteCreated(invite_id=house.next_id("inv"), invite_text=text, expires_at=expires)


@api.get("/devices", dependencies=[need("devices.device.read")])
def list_devices(house: AnyHouse, limit: Limit = 50, cursor: str | None = None) -> m.Devices:
    items, following = page(list(house.devices.values()), limit, cursor)
    return m.Devices(items=items, next_cursor=following)


@api.post("/devices/{device_id}/trust", dependencies=[need("devices.device.trust")])
def trust_device(device_id: str, body: m.ShortCode, house: AnyHouse) -> m.DeviceItem:
    device = found(house.devices.get(device_id))
    if device.state != "pending":
        raise RefusedError(409, "devices.wrong_state", "Not in this state.", state=device.state, command="trust")
    if body.short_code.replace("-", "").upper() != device.short_code.replace("-", ""):
        raise RefusedError(422, "devices.short_code_differs", "The short codes differ.")
    device.state, device.trusted_at = "trusted", stamp(house.now)
    return device


def move(house: House, device_id: str, command: str, before: set[str], after: str) -> m.DeviceItem:
    device = found(house.devices.get(device_id))
    if device.state not in before:
        raise RefusedError(409, "devices.wrong_state", "Not in this state.", state=device.state, command=command)
    device.state = after
    return device


@api.post("/devices/{device_id}/suspend", dependencies=[need("devices.device.suspend")])
def suspend_device(device_id: str, house: AnyHouse) -> m.DeviceItem:
    return move(house, device_id, "suspend", {"trusted"}, "suspended")


@api.post("/devices/{device_id}/resume", dependencies=[need("devices.device.resume")])
def resume_device(device_id: str, house: AnyHouse) -> m.DeviceItem:
    return move(house, device_id, "resume", {"suspended"}, "trusted")


@api.post("/devices/{device_id}/retire", dependencies=[need("devices.device.retire")])
def retire_device(device_id: str, house: AnyHouse) -> m.DeviceItem:
    return move(house, device_id, "retire", {"pending", "trusted", "suspended"}, "retired")


@api.put("/devices/{device_id}/policy", dependencies=[need("devices.device.suspend")])
def change_device_policy(device_id: str, body: m.DevicePolicy, house: AnyHouse) -> m.DeviceItem:
    device = found(house.devices.get(device_id))
    device.allow_header_address, device.loose_clock = body.allow_header_address, body.loose_clock
    return device


@api.get("/zones", dependencies=[need("targets.zone.read")])
def list_zones(house: AnyHouse, limit: Limit = 50, cursor: str | None = None) -> m.Zones:
    items, following = page(list(house.zones.values()), limit, cursor)
    return m.Zones(items=items, next_cursor=following)


@api.post("/zones", status_code=201, dependencies=[need("targets.zone.create")])
def create_zone(body: m.NewZone, house: AnyHouse) -> m.ZoneItem:
    zone = m.ZoneItem(id=house.next_id("zon"), name=body.name, created_at=stamp(house.now))
    house.zones[zone.id] = zone
    return zone


@api.get("/targets", dependencies=[need("targets.target.read")])
def list_targets(house: AnyHouse, limit: Limit = 50, cursor: str | None = None) -> m.Targets:
    items, following = page(list(house.targets.values()), limit, cursor)
    return m.Targets(items=items, next_cursor=following)


@api.post("/targets", status_code=201, dependencies=[need("targets.target.create")])
def create_target(body: m.NewTarget, house: AnyHouse) -> m.TargetItem:
    target = m.TargetItem(
        id=house.next_id("tgt"),
        zone=found(house.zones.get(body.zone_id)).name,
        created_at=stamp(house.now),
        **body.model_dump(),
    )
    house.targets[target.id] = target
    return target


@api.get("/targets/{target_id}", dependencies=[need("targets.target.read")])
def read_target(target_id: str, house: AnyHouse) -> m.TargetItem:
    return found(house.targets.get(target_id))


@api.put("/targets/{target_id}/endpoint", dependencies=[need("targets.target.change")])
def change_endpoint(target_id: str, body: m.Endpoint, house: AnyHouse) -> m.TargetItem:
    target = found(house.targets.get(target_id)).model_copy(update=body.model_dump())
    house.targets[target_id] = target
    return target


@api.post("/targets/{target_id}/retire", dependencies=[need("targets.target.retire")])
def retire_target(target_id: str, house: AnyHouse) -> m.TargetItem:
    target = found(house.targets.get(target_id)).model_copy(update={"retired_at": stamp(house.now)})
    house.targets[target_id] = target
    return target


@api.post("/targets/{target_id}/credentials", status_code=201, dependencies=[need("vault.credential.put")])
def bind_credential(target_id: str, body: m.NewCredential, house: AnyHouse) -> m.Created:
    target = found(house.targets.get(target_id))
    found(body.account if body.account in target.accounts else None)
    house.secrets.append(body)
    return m.Created(id=house.next_id("crd"))


def probed(house: House, pinned: str | None) -> m.ProbeItem:
    key = house.shown_key if house.outcome == "key_shown" else None
    return m.ProbeItem(
        probe_id=house.next_id("prb"),
        at=stamp(house.now),
        outcome=house.outcome,
        host_key=key,
        fingerprint=fingerprint(key) if key else None,
        pinned_fingerprint=fingerprint(pinned) if pinned else None,
        key_differs=key != pinned if key and pinned else None,
    )


@api.post("/targets/{target_id}/probe", dependencies=[need("targets.target.probe")])
def probe_target(target_id: str, house: AnyHouse) -> m.ProbeItem:
    return probed(house, found(house.targets.get(target_id)).host_key)


@api.post("/target-probes", dependencies=[need("targets.target.create")])
def probe_address(body: m.ProbeAddress, house: AnyHouse) -> m.ProbeItem:
    return probed(house, None)


@api.get("/targets/{target_id}/credentials", dependencies=[need("targets.target.read")])
def credential_states(target_id: str, house: AnyHouse) -> m.CredentialStates:
    target = found(house.targets.get(target_id))
    stored = {"maint": "bound", "svc": "detached"} | {secret.account: "bound" for secret in house.secrets}
    return m.CredentialStates(
        items=[m.CredentialStateItem(account=one, state=stored.get(one, "absent")) for one in target.accounts]
    )


@api.get("/health", dependencies=[need("app.health.read")])
def read_health(house: AnyHouse) -> m.HealthItem:
    now = stamp(house.now)
    names = ("control", "database", "gateway", "guard", "opener")
    guard = m.GuardItem(
        state="armed",
        said_at=now,
        roster_version=12,
        roster_sent=12,
        counters={"accepted": 41, "refused_gate": 1203, "refused_clock": 2, "refused_something_new": 1},
    )
    return m.HealthItem(
        checked_at=now,
        release="0.1.0",
        parts=[m.Part(name=name, ready=name not in house.unready) for name in names],
        gateway_workers=[] if "gateway" in house.unready else ["gateway-1"],
        guard=None if "guard" in house.unready else guard,
        firewall=m.FirewallItem(is_whole=house.firewall_is_whole, windows=2, ways=1),
        trail=m.TrailItem(last_seq=75, witnessed_seq=71, witnessed_at=now, records_behind=4),
        recordings=m.SpaceItem(free_bytes=7_300_000_000, size_bytes=64_000_000_000),
        forecast=house.forecast,
        object_store=house.object_store,
        certificates=[
            m.ExpiryItem(name="site root", ends_at=stamp(house.now + timedelta(days=3_000))),
            m.ExpiryItem(name="console", ends_at=stamp(house.now + timedelta(days=12))),
            m.ExpiryItem(name="SSH door", ends_at=stamp(house.now - timedelta(days=1))),
        ],
    )


@api.get("/set-up", dependencies=[need("app.health.read")])
def read_set_up(house: AnyHouse) -> m.SetUpItem:
    steps = [m.StepItem(code=code, state=house.open_steps.get(code, "done")) for code in STEPS]
    return m.SetUpItem(complete=not house.open_steps, steps=steps)


@api.get("/access-requests", dependencies=[need("access_requests.request.read")])
def list_requests(
    house: AnyHouse, state: str | None = None, limit: Limit = 50, cursor: str | None = None
) -> m.AccessRequests:
    rows = [r for r in house.requests.values() if state in {None, r.state}]
    items, following = page(rows, limit, cursor)
    return m.AccessRequests(items=items, next_cursor=following)


def decide(house: House, request_id: str, person: m.PersonItem, state: str) -> m.AccessRequestItem:
    item = found(house.requests.get(request_id))
    if item.state != "submitted":
        raise RefusedError(409, "access_requests.not_in_state", "Decided.", state=item.state, command=state)
    item.state = state
    item.decided_by = m.Named(id=person.id, display_name=person.display_name)
    item.decided_at = stamp(house.now)
    return item


@api.get("/access-requests/{request_id}", dependencies=[need("access_requests.request.read")])
def read_request(request_id: str, house: AnyHouse) -> m.AccessRequestItem:
    return found(house.requests.get(request_id))


@api.post("/access-requests/{request_id}/approve", dependencies=[need("access_requests.request.approve")])
def approve(request_id: str, body: m.Approve, person: Signed, house: AnyHouse) -> m.AccessRequestItem:
    item = decide(house, request_id, person, "approved")
    if body.duration_seconds:
        start = datetime.fromisoformat(item.starts_at.replace("Z", "+00:00"))
        item.ends_at = stamp(start + timedelta(seconds=body.duration_seconds))
    house.grants["grt_9"] = m.GrantItem(
        id="grt_9",
        request_id=item.id,
        person=item.person,
        device=m.NamedThing(id=item.device.id, name=item.device.name),
        target=item.target,
        account=item.account,
        protocol=item.protocol,
        not_before=item.starts_at,
        not_after=item.ends_at,
        state="issued",
        issued_at=stamp(house.now),
    )
    return item


@api.post("/access-requests/{request_id}/deny", dependencies=[need("access_requests.request.deny")])
def deny(request_id: str, body: m.Reason, person: Signed, house: AnyHouse) -> m.AccessRequestItem:
    item = decide(house, request_id, person, "denied")
    item.decision_reason = body.reason
    return item


@api.get("/grants", dependencies=[need("grants.grant.read")])
def list_grants(house: AnyHouse, limit: Limit = 50, cursor: str | None = None) -> m.Grants:
    items, following = page(list(house.grants.values()), limit, cursor)
    return m.Grants(items=items, next_cursor=following)


@api.post("/grants/{grant_id}/revoke", dependencies=[need("grants.grant.revoke")])
def revoke(grant_id: str, body: m.Reason, house: AnyHouse) -> m.GrantItem:
    grant = found(house.grants.get(grant_id))
    grant.state = "revoked"
    return grant


@api.get("/sessions", dependencies=[need("sessions.session.read")])
def list_sessions(
    house: AnyHouse, state: str | None = None, limit: Limit = 50, cursor: str | None = None
) -> m.Sessions:
    rows = [s for s in house.sessions.values() if state in {None, s.state}]
    items, following = page(rows, limit, cursor)
    return m.Sessions(items=items, next_cursor=following)


@api.get("/sessions/{session_id}", dependencies=[need("sessions.session.read")])
def read_one_session(session_id: str, house: AnyHouse) -> m.SessionItem:
    return found(house.sessions.get(session_id))


@api.get("/sessions/{session_id}/receipt", dependencies=[need("sessions.session.read")])
def read_receipt(session_id: str, house: AnyHouse) -> m.Receipt:
    found(house.sessions.get(session_id))
    return house.receipts.get(session_id, m.Receipt(state="awaited"))


@api.post("/sessions/{session_id}/cut", dependencies=[need("sessions.session.cut")])
def cut_session(session_id: str, body: m.Reason, house: AnyHouse) -> m.SessionItem:
    session = found(house.sessions.get(session_id))
    if session.state != "live":
        raise RefusedError(409, "sessions.not_in_state", "Over already.", state=session.state, command="cut")
    session.state, session.end_reason = "closing", None
    house.tell("sessions.session.cut", "psn_zhang", session_id, reason=body.reason)
    return session


def live_session(house: House, session_id: str) -> m.SessionItem:
    session = found(house.sessions.get(session_id))
    if session.state != "live":
        raise RefusedError(409, "sessions.not_live", "Not live.", state=session.state)
    return session


@api.post("/sessions/{session_id}/freeze", dependencies=[need("sessions.session.freeze")])
def freeze_session(session_id: str, body: m.Reason, house: AnyHouse) -> m.SessionItem:
    session = live_session(house, session_id)
    session.frozen = m.Held(at=stamp(house.now), reason=body.reason)
    house.live.note(kind="frozen", cause="order", text=body.reason)
    return session


@api.post("/sessions/{session_id}/thaw", dependencies=[need("sessions.session.freeze")])
def thaw_session(session_id: str, body: m.Reason, house: AnyHouse) -> m.SessionItem:
    session = live_session(house, session_id)
    session.frozen = None
    house.live.note(kind="thawed", cause="order", text=body.reason)
    return session


@api.post("/sessions/{session_id}/message", status_code=204, dependencies=[need("sessions.session.message")])
def message_session(session_id: str, body: m.MessageText, house: AnyHouse) -> None:
    live_session(house, session_id)
    house.messages.append(body.text)


@api.get("/sessions/{session_id}/watch", dependencies=[need("sessions.session.watch")])
def watch_session(session_id: str, person: Signed, house: AnyHouse, after: int = 0) -> Response:
    session = live_session(house, session_id)
    if house.live.refuses:
        raise RefusedError(429, "sessions.too_many_watches", "Too many.")
    session.watchers = [m.Named(id=person.id, display_name=person.display_name)]
    return StreamingResponse(house.live.events(after), media_type="text/event-stream")


@api.get("/recordings/{recording_id}", dependencies=[need("recordings.recording.read")])
def read_recording(recording_id: str, house: AnyHouse) -> m.RecordingView:
    return found(house.recordings.get(recording_id))


@api.get(
    "/recordings/{recording_id}/cast",
    dependencies=[need("recordings.recording.replay")],
    response_class=PlainTextResponse,
)
def read_cast(recording_id: str, house: AnyHouse, person: Signed) -> str:
    found(house.recordings.get(recording_id))
    house.tell("recordings.recording.replayed", person.id, recording_id)
    return cast_text()


@api.get("/recordings/{recording_id}/timeline", dependencies=[need("recordings.recording.replay")])
def read_timeline(recording_id: str, house: AnyHouse, person: Signed) -> m.Times:
    found(house.recordings.get(recording_id))
    house.tell("recordings.recording.replayed", person.id, recording_id)
    return house.long.timeline()


@api.get("/recordings/{recording_id}/chunks/{number}", dependencies=[need("recordings.recording.replay")])
def read_chunk(recording_id: str, number: int, house: AnyHouse) -> m.Chunk:
    found(house.recordings.get(recording_id))
    return found(house.long.chunk(number))


@api.get("/recordings/{recording_id}/events", dependencies=[need("recordings.recording.replay")])
def read_events(recording_id: str, house: AnyHouse) -> m.RecordingEvents:
    found(house.recordings.get(recording_id))
    return m.RecordingEvents(items=recording_events())


@api.get("/audit/events", dependencies=[need("audit.event.read")])
def list_audit(
    house: AnyHouse,
    code: str | None = None,
    subject: str | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> m.AuditEvents:
    rows = [
        e
        for e in reversed(house.audit)
        if subject in {None, e.subject}
        and (code in {None, e.code} or ((code or "")[-1:] == "*" and e.code.startswith((code or "")[:-1])))
    ]
    items, following = page(rows, limit, cursor)
    return m.AuditEvents(items=items, next_cursor=following)


@api.get("/audit/state", dependencies=[need("audit.state.read")])
def chain_state(house: AnyHouse) -> m.ChainState:
    return m.ChainState(last_seq=len(house.audit), head="5e" * 32, verified=True, checked_at=stamp(house.now))


def _refuse(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, RefusedError):
        return problem_answer(request.url.path, error)
    return problem_answer(request.url.path, RefusedError(422, "invalid", "The request has not the expected form."))


def create_app(dist: Path | None) -> FastAPI:
    """The stand-in with a new house; with the built console when `dist` is given."""
    app = FastAPI(title="Sallyport plant API", version="1", openapi_url=None)
    app.state.house = build()
    app.add_exception_handler(RefusedError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse)
    app.include_router(api)
    app.include_router(retention, prefix=PREFIX)
    if dist is not None:
        install_console(app, dist)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8444)
    parser.add_argument("--dist", type=Path, default=Path("web/dist"))
    chosen = parser.parse_args()
    uvicorn.run(create_app(chosen.dist), host="127.0.0.1", port=chosen.port)


if __name__ == "__main__":
    main()
