"""Watching over HTTP as a browser does it: server-sent events from a real server, with a session's cookie."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from broker.identities.access import COOKIE
from broker.identities.model import Role
from broker.identities.testing import a_console_session
from broker.sessions import api
from tests.unit.broker.identities.world import an_application
from tests.unit.broker.sessions.plant import Plant, a_plant
from tests.unit.broker.sessions.test_watching import Room, room


class Browser:
    def __init__(self, port: int, cookie: str) -> None:
        self.port, self.cookie = port, cookie
        self.last_id = ""
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, path: str) -> tuple[int, dict[str, str], asyncio.StreamReader]:
        self.close()
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"GET {path} HTTP/1.1", "Host: x", f"Cookie: {COOKIE}={self.cookie}", "Accept: text/event-stream"]
        if self.last_id:
            lines.append(f"Last-Event-ID: {self.last_id}")
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        status = int((await reader.readline()).split()[1])
        headers: dict[str, str] = {}
        while (line := (await reader.readline()).decode().strip()) != "":
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        return status, headers, reader

    async def events(self, path: str) -> AsyncIterator[tuple[str, dict[str, object]]]:
        status, headers, reader = await self.get(path)
        assert status == 200
        assert headers["content-type"].startswith("text/event-stream")
        text = b""
        while (size := int(await reader.readline(), 16)) > 0:
            text += (await reader.readexactly(size + 2))[:-2]
            while b"\n\n" in text:
                event, text = text.split(b"\n\n", 1)
                fields = dict(line.split(": ", 1) for line in event.decode().split("\n"))
                self.last_id = fields.get("id", self.last_id)
                yield fields["event"], json.loads(fields["data"])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


@asynccontextmanager
async def console(plant: Plant, role: Role) -> AsyncIterator[Browser]:
    router = api.plant_router(plant.sessions, plant.live, plant.watching, plant.world.plant_access)
    config = uvicorn.Config(
        an_application(router).app, http="h11", ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        cookie, _ = a_console_session(plant.world.database, plant.world.somebody(role))
        browser = Browser(listener.getsockname()[1], cookie)
        try:
            yield browser
        finally:
            browser.close()
            plant.watching.stop()
            server.should_exit = True
            await serving


def numbers(data: dict[str, object]) -> list[int]:
    frames = data["frames"]
    assert isinstance(frames, list)
    return [frame["n"] for frame in frames]


async def see(browser: Browser, one: Room, count: int, path: str) -> list[int]:
    """The numbers of so many frames, half of which happen while somebody watches."""
    seen: list[int] = []
    async for name, data in browser.events(path):
        if name == "live":
            one.session.say(count)
        if name == "frames":
            seen += numbers(data)
        if one.session.said == (seen or [0])[-1] and name == "beat":
            break
    return seen


async def test_a_browser_sees_the_whole_session_and_goes_on_where_it_was(tmp_path: Path) -> None:
    plant = a_plant(tmp_path)
    async with asyncio.timeout(30), room(plant) as one, console(plant, Role.AUDITOR) as browser:
        one.session.say(300)
        path = f"/sessions/{one.session.session_id}/watch"
        assert await see(browser, one, 50, path) == list(range(1, 351))
        assert one.session.watchers == 1
        browser.close()
        while one.session.watchers or plant.watching.watchers(one.session.session_id):
            await asyncio.sleep(0.01)
        one.session.say(25)
        assert await see(browser, one, 25, path) == list(range(351, 401))
    watches = [code for code in plant.codes() if "watch" in code]
    assert watches == ["sessions.session.watched", "sessions.session.watch_ended"] * 2


async def test_only_who_may_watches_and_only_what_runs(tmp_path: Path) -> None:
    plant = a_plant(tmp_path)
    async with asyncio.timeout(30), room(plant) as one:
        path = f"/sessions/{one.session.session_id}/watch"
        async with console(plant, Role.SECURITY_ADMINISTRATOR) as browser:
            assert (await browser.get(path))[0] == 403
        async with console(plant, Role.PLANT_ADMIN) as browser:
            browser.cookie = "x"
            assert (await browser.get(path))[0] == 401
        async with console(plant, Role.PLANT_ADMIN) as browser:
            assert (await browser.get("/sessions/ses_x/watch"))[0] == 404
            assert (await browser.get(f"/sessions/{plant.admitted().session_id}/watch"))[0] == 409
    assert not [code for code in plant.codes() if "watch" in code]
