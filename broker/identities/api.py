"""People and sign-ins over HTTP, at the plant face and at the vendor face."""

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field

from broker.identities.access import COOKIE, PlantAccess, VendorAccess
from broker.identities.confirmation import ConfirmationService
from broker.identities.model import Language, Person, Principal, Role, VendorConnection, VendorPrincipal, VendorWelcome
from broker.identities.rules import CONSOLE_ABSOLUTE, is_plant_role
from broker.identities.service import CreatedPerson, PeopleService
from broker.identities.sign_in import ConsoleSession, Credentials, SignInService
from broker.kernel.sensitivity import SecretText


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


Username = Annotated[str, Field(min_length=1, max_length=64)]
Secret = Annotated[str, Field(min_length=1, max_length=256, repr=False)]
Code = Annotated[str, Field(min_length=6, max_length=12, repr=False)]
Token = Annotated[str, Field(min_length=1, max_length=200, repr=False)]


class SignInRequest(_Schema):
    """Both factors."""

    username: Username
    password: Secret
    totp: Code


class SignedInPerson(_Schema):
    """Who is signed in at the console."""

    id: str
    username: str
    display_name: str
    role: Role
    language: Language


class SessionAnswer(_Schema):
    """A console session."""

    person: SignedInPerson
    permissions: list[str]
    csrf_token: str = Field(repr=False)


class LanguageRequest(_Schema):
    """The console's language."""

    language: Language


class ActivationBeginRequest(_Schema):
    """The token of an activation link."""

    token: Token


class ActivationOffer(_Schema):
    """The seed for an authenticator; shown this once."""

    username: str
    display_name: str
    totp_secret: str = Field(repr=False)
    totp_uri: str = Field(repr=False)


class ActivationCompleteRequest(_Schema):
    """A password, and a code that proves the authenticator holds the seed."""

    token: Token
    password: Secret
    totp: Code


class ActivatedAnswer(_Schema):
    """An account has its factors.

    With a code it waits until a security administrator has heard that code from this person; the code is shown this
    once.
    """

    confirmation_code: str | None = Field(repr=False)


class ConfirmationRequest(_Schema):
    """The code that the person read aloud."""

    code: str = Field(min_length=1, max_length=40, repr=False)


class PersonRequest(_Schema):
    """A new account."""

    username: Username
    display_name: str = Field(min_length=1, max_length=120, pattern=r"^\S(.*\S)?$")
    role: Role
    company: str | None = Field(default=None, min_length=1, max_length=120)
    language: Language = Language.ENGLISH


class PersonAnswer(_Schema):
    """A person."""

    id: str
    username: str
    display_name: str
    role: Role
    state: str
    company: str | None
    language: Language
    created_at: datetime


class PersonList(_Schema):
    """A page of people, oldest first."""

    items: list[PersonAnswer]
    next_cursor: str | None


class CreatedPersonAnswer(_Schema):
    """A person, and how they activate the account; vendors' engineers use the token in the client, without a link."""

    person: PersonAnswer
    activation_token: str = Field(repr=False)
    activation_url: str | None = Field(repr=False)


class VendorActivationRequest(_Schema):
    """An engineer's activation token and chosen password."""

    token: Token
    password: Secret


class VendorActivationAnswer(_Schema):
    """The seed for the engineer's authenticator; shown this once."""

    totp_secret: str = Field(repr=False)
    totp_uri: str = Field(repr=False)


class EngineerAnswer(_Schema):
    """The engineer who is signed in."""

    id: str
    username: str
    display_name: str


class DayKeyAnswer(_Schema):
    """The gate key of one day."""

    day: int
    key_b64: str = Field(repr=False)


class SiteAnswer(_Schema):
    """What a client must know of the site to connect by SSH."""

    name: str
    ssh_domain: str
    host_ca: str
    host_key_alias: str


class LoginAnswer(_Schema):
    """An API token and what the client needs with it."""

    token: str = Field(repr=False)
    idle_seconds: int
    person: EngineerAnswer
    source: str
    server_time_ms: int
    day_keys: list[DayKeyAnswer]
    site: SiteAnswer


def plant_router(
    people: PeopleService,
    confirmation: ConfirmationService,
    sign_in: SignInService,
    access: PlantAccess,
    console_url: str = "",
) -> APIRouter:
    """The console's routes: `/session`, `/activation` and `/people`.

    `console_url` (without a slash at its end) leads activation links; empty makes them relative to the console.
    """
    router = APIRouter(tags=["identities"])

    @router.post("/session", operation_id="sign_in")
    def sign_in_(body: SignInRequest, request: Request, response: Response) -> SessionAnswer:
        started = sign_in.sign_in_at_console(_credentials(body), _source(request))
        response.set_cookie(
            COOKIE,
            started.cookie.reveal(),
            max_age=int(CONSOLE_ABSOLUTE.total_seconds()),
            path="/",
            secure=True,
            httponly=True,
            samesite="strict",
        )
        response.headers["Cache-Control"] = "no-store"
        return _session_answer(started.session)

    @router.get("/session", operation_id="get_console_session")
    def get_session(
        request: Request, response: Response, _principal: Annotated[Principal, Depends(access.signed_in)]
    ) -> SessionAnswer:
        response.headers["Cache-Control"] = "no-store"
        return _session_answer(sign_in.console_session(request.cookies[COOKIE]))

    @router.delete("/session", operation_id="sign_out", status_code=status.HTTP_204_NO_CONTENT)
    def sign_out(response: Response, principal: Annotated[Principal, Depends(access.signed_in)]) -> None:
        sign_in.sign_out_of_console(principal)
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")

    @router.put("/session/language", operation_id="choose_language", status_code=status.HTTP_204_NO_CONTENT)
    def choose_language(body: LanguageRequest, principal: Annotated[Principal, Depends(access.signed_in)]) -> None:
        people.choose_language(principal.person_id, body.language)

    @router.post("/activation/begin", operation_id="begin_activation")
    def begin_activation(body: ActivationBeginRequest, request: Request, response: Response) -> ActivationOffer:
        offer = people.begin_activation(body.token, _source(request))
        response.headers["Cache-Control"] = "no-store"
        return ActivationOffer(
            username=offer.username,
            display_name=offer.display_name,
            totp_secret=offer.totp_secret.reveal(),
            totp_uri=offer.totp_uri.reveal(),
        )

    @router.post("/activation/complete", operation_id="complete_activation")
    def complete_activation(body: ActivationCompleteRequest, request: Request, response: Response) -> ActivatedAnswer:
        response.headers["Cache-Control"] = "no-store"
        code = people.complete_activation(
            body.token, SecretText(body.password), SecretText(body.totp), _source(request)
        )
        return ActivatedAnswer(confirmation_code=code.reveal() if code is not None else None)

    @router.get(
        "/people", operation_id="list_people", dependencies=[Depends(access.requires("identities.person.read"))]
    )
    def list_people(
        limit: Annotated[int, Query(ge=1, le=200)] = 50, cursor: Annotated[str | None, Query(max_length=40)] = None
    ) -> PersonList:
        found = people.people(limit=limit, after=cursor)
        return PersonList(
            items=[_person_answer(person) for person in found],
            next_cursor=found[-1].id if len(found) == limit else None,
        )

    @router.post("/people", operation_id="create_person", status_code=status.HTTP_201_CREATED)
    def create_person(
        body: PersonRequest, principal: Annotated[Principal, Depends(access.requires("identities.person.create"))]
    ) -> CreatedPersonAnswer:
        created = people.create_person(
            principal.person_id,
            username=body.username,
            display_name=body.display_name,
            role=body.role,
            company=body.company,
            language=body.language,
        )
        return _created_answer(created, console_url)

    @router.post("/people/{person_id}/confirm", operation_id="confirm_person")
    def confirm_person(
        person_id: str,
        body: ConfirmationRequest,
        principal: Annotated[Principal, Depends(access.requires("identities.person.confirm"))],
    ) -> PersonAnswer:
        return _person_answer(confirmation.confirm(principal.person_id, person_id, body.code))

    @router.post("/people/{person_id}/reset", operation_id="reset_person")
    def reset_person(
        person_id: str,
        response: Response,
        principal: Annotated[Principal, Depends(access.requires("identities.person.reset"))],
    ) -> CreatedPersonAnswer:
        response.headers["Cache-Control"] = "no-store"
        return _created_answer(confirmation.reset(principal.person_id, person_id), console_url)

    @router.post("/people/{person_id}/suspend", operation_id="suspend_person")
    def suspend_person(
        person_id: str, principal: Annotated[Principal, Depends(access.requires("identities.person.suspend"))]
    ) -> PersonAnswer:
        return _person_answer(people.suspend_person(principal.person_id, person_id))

    return router


def vendor_router(
    people: PeopleService, sign_in: SignInService, access: VendorAccess, welcome: Callable[[], VendorWelcome]
) -> APIRouter:
    """The vendor face's routes: `/activation`, `/login`, `/logout`. `welcome` says what the site is now."""
    router = APIRouter(tags=["identities"])

    @router.post("/activation", operation_id="activate_engineer")
    def activate_engineer(
        body: VendorActivationRequest, connection: Annotated[VendorConnection, Depends(access.connection)]
    ) -> VendorActivationAnswer:
        offer = people.activate_vendor(body.token, SecretText(body.password), connection, sign_in.owner_of(connection))
        return VendorActivationAnswer(totp_secret=offer.totp_secret.reveal(), totp_uri=offer.totp_uri.reveal())

    @router.post("/login", operation_id="login")
    def login(body: SignInRequest, connection: Annotated[VendorConnection, Depends(access.connection)]) -> LoginAnswer:
        started = sign_in.sign_in_at_vendor_face(_credentials(body), connection)
        engineer, site = started.principal, welcome()
        return LoginAnswer(
            token=started.token.reveal(),
            idle_seconds=started.idle_seconds,
            person=EngineerAnswer(
                id=engineer.person_id, username=engineer.username, display_name=engineer.display_name
            ),
            source=connection.source,
            server_time_ms=site.server_time_ms,
            day_keys=[DayKeyAnswer(day=day, key_b64=base64.b64encode(key).decode()) for day, key in site.day_keys],
            site=SiteAnswer(
                name=site.site_name,
                ssh_domain=site.ssh_domain,
                host_ca=site.host_ca,
                host_key_alias=site.host_key_alias,
            ),
        )

    @router.post("/logout", operation_id="logout", status_code=status.HTTP_204_NO_CONTENT)
    def logout(engineer: Annotated[VendorPrincipal, Depends(access.signed_in())]) -> None:
        sign_in.sign_out_of_vendor_face(engineer)

    return router


def _credentials(body: SignInRequest) -> Credentials:
    return Credentials(body.username, SecretText(body.password), SecretText(body.totp))


def _source(request: Request) -> str:
    return request.client.host if request.client is not None else "unknown"


def _session_answer(session: ConsoleSession) -> SessionAnswer:
    principal = session.principal
    return SessionAnswer(
        person=SignedInPerson(
            id=principal.person_id,
            username=principal.username,
            display_name=principal.display_name,
            role=principal.role,
            language=principal.language,
        ),
        permissions=sorted(principal.permissions),
        csrf_token=session.csrf_token.reveal(),
    )


def _created_answer(created: CreatedPerson, console_url: str) -> CreatedPersonAnswer:
    token = created.activation_token.reveal()
    return CreatedPersonAnswer(
        person=_person_answer(created.person),
        activation_token=token,
        activation_url=f"{console_url}/activate#{token}" if is_plant_role(created.person.role) else None,
    )


def _person_answer(person: Person) -> PersonAnswer:
    return PersonAnswer(
        id=person.id,
        username=person.username,
        display_name=person.display_name,
        role=person.role,
        state=person.state.value,
        company=person.company,
        language=person.language,
        created_at=person.created_at,
    )
