"""A plant and a browser for every test, and the guard that no test may do without.

The guard fails a test on any violation of the page's policy, any error in the console or in a script, any request to
another origin, and any answer of the server with a status of 500 or above.
"""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

from tests.e2e.web.console import Console
from tests.e2e.web.fake_api import create_app
from tests.e2e.web.fake_house import House, build

ROOT: Final = Path(__file__).parents[3]
DIST: Final = ROOT / "web" / "dist"
CHROMIUM: Final = os.environ.get("SALLYPORT_CHROMIUM", "/usr/bin/chromium")
FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP: Final = (1280, 860)
PHONE: Final = (360, 740)


@dataclass
class Plant:
    """The stand-in, served; `house` is its state."""

    url: str
    house: House


@dataclass
class Guard:
    """What went wrong behind the test's back."""

    origin: str
    faults: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        # Chromium reports every refusal of the API as an error; the refusals themselves are part of the tests.
        refused = message.text.startswith("Failed to load resource") and "/api/v1/" in message.location.get("url", "")
        if not refused:
            self.faults.append(f"console {message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.faults.append(f"foreign request: {request.url}")

    def _response(self, response: Response) -> None:
        missing = response.status == 404 and "/api/" not in response.url
        if response.status >= 500 or missing:
            self.faults.append(f"status {response.status}: {response.url}")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, FastAPI]]:
    if not (DIST / "index.html").is_file():
        pytest.fail("web/dist is not built: run `npm ci --ignore-scripts && npm run build` in web/")
    # A copy, so that a build meanwhile does not take files away from under the browser.
    dist = shutil.copytree(DIST, tmp_path_factory.mktemp("console") / "dist")
    app = create_app(dist)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://localhost:{listener.getsockname()[1]}", app
    server.should_exit = True
    thread.join(timeout=5)
    listener.close()


@pytest.fixture
def plant(served: tuple[str, FastAPI]) -> Plant:
    url, app = served
    house = build()
    app.state.house = house
    return Plant(url, house)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


Opener = Callable[..., Console]


@pytest.fixture
def guard(plant: Plant) -> Iterator[Guard]:
    watching = Guard(plant.url)
    yield watching
    assert watching.faults == []


@pytest.fixture
def open_console(plant: Plant, browser: Browser, guard: Guard) -> Iterator[Opener]:
    """Opens the console in a fresh profile: `open_console(size=PHONE, language="zh-CN", dark=True)`."""
    contexts: list[BrowserContext] = []

    def opener(*, size: tuple[int, int] = DESKTOP, language: str = "en", dark: bool = False) -> Console:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            locale=language,
            timezone_id="Asia/Shanghai",
            color_scheme="dark" if dark else "light",
            has_touch=size == PHONE,
        )
        context.set_default_timeout(8_000)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=plant.url)
        violations = guard.faults
        context.expose_function("reportViolation", lambda text: violations.append(f"policy: {text}"))
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation',"
            " e => reportViolation(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`))"
        )
        contexts.append(context)
        page = context.new_page()
        guard.watch(page)
        for person in plant.house.people.values():
            person.language = language
        return Console(page, plant.url, language)

    yield opener
    for context in contexts:
        context.close()
