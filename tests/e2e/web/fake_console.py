"""How a server hands out the built console: a fresh nonce in every page, a strict policy, hashed files for ever."""

import secrets
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'nonce-{nonce}'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def install_console(app: FastAPI, dist: Path) -> None:
    """Serve `dist`: `/assets/*` as files, every other path that is not the API as the one page."""

    @app.get("/assets/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        path = dist / "assets" / name
        if "/" in name or not path.is_file():
            return PlainTextResponse("not found", status_code=404)
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, headers=headers)

    @app.get("/{path:path}", include_in_schema=False)
    def console(path: str, request: Request) -> Response:
        if path.startswith("api/"):
            return PlainTextResponse("not found", status_code=404)
        nonce = secrets.token_urlsafe(18)
        html = (dist / "index.html").read_text().replace("__NONCE__", nonce)
        headers = {
            "Content-Security-Policy": POLICY.format(nonce=nonce),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return HTMLResponse(html, headers=headers)
