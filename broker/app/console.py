"""Serves the console's built files: one page with a fresh nonce each time, hashed assets that never change."""

import secrets
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

_NONCE_MARK: Final = "__NONCE__"
_SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Strict-Transport-Security": "max-age=31536000",
}


def content_security_policy(nonce: str) -> str:
    """The console's policy (W3C CSP Level 3): own files, styles by nonce, WebAssembly for the replay."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "worker-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def built_console() -> Path:
    """Where the console's files are: beside this module when installed, `web/dist` in a checkout."""
    installed = Path(__file__).parent / "console"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "web" / "dist"


class _Assets(StaticFiles):
    """Files whose names carry their hash."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def install(app: FastAPI, folder: Path) -> None:
    """Serve the console from this folder on every path that is not the API's."""

    @app.middleware("http")
    async def _secure(request: Request, call_next):  # type: ignore[no-untyped-def]
        response = await call_next(request)
        for name, value in _SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        if request.url.path.startswith("/api/"):
            response.headers.setdefault("Cache-Control", "no-store")
            response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        return response

    if not (folder / "index.html").is_file():

        @app.get("/", include_in_schema=False)
        def _absent() -> Response:
            return PlainTextResponse("The console is not built into this installation.", status_code=503)

        return

    app.mount("/assets", _Assets(directory=folder / "assets"), name="assets")
    page = (folder / "index.html").read_text(encoding="utf-8")
    loose_files = {path.name: path for path in folder.iterdir() if path.is_file() and path.name != "index.html"}

    @app.get("/{path:path}", include_in_schema=False)
    def _page(path: str) -> Response:
        if path in loose_files and not path.startswith("."):
            return Response(loose_files[path].read_bytes(), media_type=_media_type(path))
        nonce = secrets.token_urlsafe(18)
        headers = {"Content-Security-Policy": content_security_policy(nonce), "Cache-Control": "no-store"}
        return HTMLResponse(page.replace(_NONCE_MARK, nonce), headers=headers)


def _media_type(name: str) -> str:
    endings = {".svg": "image/svg+xml", ".ico": "image/x-icon", ".webmanifest": "application/manifest+json"}
    return next((kind for ending, kind in endings.items() if name.endswith(ending)), "application/octet-stream")
