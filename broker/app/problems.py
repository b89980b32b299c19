"""Errors as RFC 9457 problem documents: a stable `code`, words for people, parameters for clients."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from broker.kernel import errors

_MEDIA_TYPE: Final = "application/problem+json"
_STATUS: Final[Mapping[type[errors.SallyportError], HTTPStatus]] = {
    errors.Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
_log = structlog.get_logger(__name__)


def status_of(error: errors.SallyportError) -> HTTPStatus:
    """The HTTP status of a refusal."""
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), HTTPStatus.BAD_REQUEST)


def problem(
    request: Request,
    status: HTTPStatus,
    code: str,
    detail: str,
    params: Mapping[str, object] | None = None,
    field_errors: list[dict[str, str]] | None = None,
) -> JSONResponse:
    """One problem document."""
    body: dict[str, object] = {
        "type": f"urn:sallyport:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "instance": request.url.path,
        "code": code,
        "params": dict(params or {}),
    }
    if field_errors:
        body["errors"] = field_errors
    return JSONResponse(body, status_code=status.value, media_type=_MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of this application with a problem document."""

    @app.exception_handler(errors.SallyportError)
    def _refused(request: Request, error: errors.SallyportError) -> JSONResponse:
        return problem(request, status_of(error), error.code, error.message, error.params)

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        field_errors = [
            {"pointer": "/" + "/".join(str(part) for part in item["loc"]), "message": str(item["msg"])}
            for item in error.errors()
        ]
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return problem(request, status, "invalid", "The request does not have the expected form.", {}, field_errors)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        code = "not_found" if status is HTTPStatus.NOT_FOUND else status.name.lower()
        return problem(request, status, code, str(error.detail))

    @app.exception_handler(DBAPIError)
    def _database(request: Request, error: DBAPIError) -> JSONResponse:
        _log.error("database_failed", path=request.url.path, error=type(error).__name__)
        words = "The database cannot do this now; nothing was changed. Try again; tell whoever runs the broker."
        return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, "database.unavailable", words)

    @app.exception_handler(Exception)
    def _broken(request: Request, error: Exception) -> JSONResponse:
        _log.error("request_failed", path=request.url.path, error=type(error).__name__, exc_info=error)
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return problem(request, status, "internal", "This request failed on our side; nothing was changed.")
