"""Who may do what at the stand-in: cookie, CSRF token, permissions, refusals, pages of lists."""

from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse

from broker.identities.model import Role
from broker.identities.rules import PERMISSIONS
from tests.e2e.web import fake_models as m
from tests.e2e.web.fake_house import House

COOKIE: Final = "__Host-sallyport"
Item = TypeVar("Item")


class RefusedError(Exception):
    def __init__(self, status: int, code: str, detail: str, **params: m.Parameter) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.params = status, code, detail, params


def problem_answer(path: str, error: RefusedError) -> JSONResponse:
    body = m.Problem(
        type=f"urn:sallyport:problem:{error.code}",
        title=error.code,
        status=error.status,
        detail=error.detail,
        instance=path,
        code=error.code,
        params=error.params,
    )
    return JSONResponse(body.model_dump(), status_code=error.status, media_type="application/problem+json")


def house_of(request: Request) -> House:
    house: House = request.app.state.house
    return house


AnyHouse = Annotated[House, Depends(house_of)]


def who(request: Request, house: AnyHouse, x_csrf_token: Annotated[str | None, Header()] = None) -> m.PersonItem:
    token = request.cookies.get(COOKIE, "")
    username = house.signed_in.get(token)
    if username is None:
        raise RefusedError(401, "not_signed_in", "Nobody is signed in.")
    if request.method not in {"GET", "HEAD"} and x_csrf_token != csrf_of(token):
        raise RefusedError(403, "identities.csrf_mismatch", "The CSRF header is absent or wrong.")
    return house.people[username]


def csrf_of(token: str) -> str:
    return f"csrf-{token[-8:]}"


Signed = Annotated[m.PersonItem, Depends(who)]


def need(*permissions: str) -> Any:
    def check(person: Signed) -> None:
        if not set(permissions) & PERMISSIONS[Role(person.role)]:
            raise RefusedError(
                403, "identities.not_permitted", "Your role does not permit this.", permission=permissions[0]
            )

    return Depends(check)


def page(items: list[Item], limit: int, cursor: str | None) -> tuple[list[Item], str | None]:
    start = int(cursor or 0)
    following = start + limit
    return items[start:following], str(following) if following < len(items) else None


def found(thing: Item | None) -> Item:
    if thing is None:
        raise RefusedError(404, "not_found", "There is no such thing, or you may not see it.")
    return thing
