"""The two faces as two applications: the plant's, with console and API, and the vendor's, with its own routes only."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, FastAPI, HTTPException, Response
from fastapi.responses import JSONResponse

from broker.app import console, health_api, problems
from broker.app.bounds import BoundedBody
from broker.app.house import House
from broker.identities.access import PlantAccess

PLANT_PREFIX: Final = "/api/v1"
VENDOR_PREFIX: Final = "/vendor/v1"
_VERSION: Final = "1"


def plant_face(house: House, *more: APIRouter) -> FastAPI:
    """Console and API for administrators and auditors, and `more` routes for the host's operators."""
    app = FastAPI(title="Sallyport", version=_VERSION, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(BoundedBody)
    problems.install(app)
    for router in house.plant_routers():
        app.include_router(router, prefix=PLANT_PREFIX)
    app.include_router(health_api.plant_router(house, house.layout, PlantAccess(house.sign_in)), prefix=PLANT_PREFIX)
    for router in (_health(house), *more):
        app.include_router(router)
    _no_unknown_api_paths(app)
    console.install(app, console.built_console())
    return app


def vendor_face(house: House) -> FastAPI:
    """What an enrolled device may reach; nothing else exists here."""
    app = FastAPI(title="Sallyport vendor face", version=_VERSION, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(BoundedBody)
    problems.install(app)
    for router in house.vendor_routers():
        app.include_router(router, prefix=VENDOR_PREFIX)
    return app


def _health(house: House) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/livez", operation_id="livez")
    def livez() -> Response:
        """The process answers."""
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @router.get("/readyz", operation_id="readyz")
    def readyz(*, quiet: bool = False) -> JSONResponse:
        """Every part that is needed answers; which one does not is told without details.

        With `quiet` the status is 200 also when a part does not answer, for a page that asks again and again.
        `witness` says how many records of the trail no checkpoint covers yet; it stops nobody.
        """
        parts = house.readiness()
        status = HTTPStatus.OK if quiet or all(parts.values()) else HTTPStatus.SERVICE_UNAVAILABLE
        body = {"ready": all(parts.values()), "parts": parts, "witness": house.witness_lag()}
        return JSONResponse(body, status_code=status)

    return router


def _no_unknown_api_paths(app: FastAPI) -> None:
    """An API path that does not exist is a problem document, not the console's page."""

    @app.get("/api/{path:path}", include_in_schema=False)
    def _absent(path: str) -> None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is nothing at this address.")
