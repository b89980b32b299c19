"""The control process: both faces, the guard's link, the gateway's authority, and the periodic work."""

import argparse
import asyncio
import contextlib
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import structlog
import uvicorn
from fastapi import APIRouter

from broker.app import faces, knock_status, logs, metrics, migrations, wiring
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import Settings, load
from broker.app.vendor_proof import KnockProofs
from broker.app.vendor_transport import vendor_protocol
from spa_knock.link.process import harden, listen_sockets, notify_ready

_JOBS_EVERY_SECONDS: Final = 5.0
_MOST_CONNECTIONS: Final = 300
_HEADER_BYTES: Final = 32_768
_VIEWER_TIMEOUT_MS: Final = 15_000
_log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """A server that leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _tls(_config: uvicorn.Config, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def plant_server(house: House, layout: Layout, *more: APIRouter) -> uvicorn.Server:
    """The console's server, with TLS of its own and `more` routes."""
    config = uvicorn.Config(
        faces.plant_face(house, *more),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_graceful_shutdown=3,
        ssl_certfile=str(layout.control / "plant-face.pem"),
        ssl_keyfile=str(layout.control / "plant-face.key"),
        ssl_context_factory=_tls,
    )
    return _Server(config)


def vendor_server(house: House, gateway_uid: int) -> uvicorn.Server:
    """The vendor face's server, for the gateway alone."""
    config = uvicorn.Config(
        faces.vendor_face(house),
        http=vendor_protocol(gateway_uid, KnockProofs(bytes.fromhex(house.devices.facts.audience_hex), house.clock)),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_graceful_shutdown=3,
    )
    return _Server(config)


async def _periodic(house: House) -> None:
    while True:
        await asyncio.sleep(_JOBS_EVERY_SECONDS)
        for name, job in house.jobs().items():
            try:
                await asyncio.to_thread(job)
            except Exception:  # noqa: BLE001 - one failing job must not stop the others
                _log.exception("job_failed", job=name)


def _begin_copying(house: House) -> threading.Event:
    """Copies recordings in a thread of its own, which nobody waits for at the end: a step is begun anew."""
    stop = threading.Event()
    if house.copying is not None:
        threading.Thread(target=house.copying.run, args=(stop,), name="copying", daemon=True).start()
    return stop


async def _serve(settings: Settings, house: House) -> None:
    layout, sockets = Layout.of(settings), listen_sockets()
    (plant,), (vendor,) = sockets["plant"], sockets["vendor"]
    (authority,), (knock_link,) = sockets["authority"], sockets["knock_link"]
    (status_socket,) = sockets["knock_status"]
    knocks_shown = knock_status.listener(lambda: knock_status.built(house), uid=0)
    # A viewer whose network is gone must not count as somebody who watches; accepted connections inherit this.
    plant.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _VIEWER_TIMEOUT_MS)
    read_metrics = metrics.router(metrics.SiteMetrics(house, layout), metrics.token_of(settings.metrics.token_file))
    servers = [plant_server(house, layout, read_metrics), vendor_server(house, settings.users.gateway)]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as tasks:
        serving = [
            tasks.create_task(server.serve(sockets=[sock]))
            for server, sock in zip(servers, (plant, vendor), strict=True)
        ]
        background = [
            tasks.create_task(house.knock_link.serve(knock_link)),
            tasks.create_task(house.authority.serve(authority)),
            tasks.create_task(knocks_shown.serve(status_socket)),
            tasks.create_task(_periodic(house)),
        ]
        while not all(server.started for server in servers) and not stop.is_set():
            if any(task.done() for task in serving):
                raise RuntimeError("a face did not start")
            await asyncio.sleep(0.02)
        stop_copying = _begin_copying(house)
        notify_ready()
        await stop.wait()
        stop_copying.set()
        house.watching.stop()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving, return_exceptions=True)
        for task in background:
            task.cancel()


def main() -> None:
    """Entry point of the control process."""
    harden()
    parser = argparse.ArgumentParser(prog="sallyport control", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    logs.configure("control")
    settings = load(arguments.config)
    migrations.upgrade(Layout.of(settings).database_url(settings))
    with wiring.opened(settings) as house:
        house.reactions.deliver_pending()
        try:
            asyncio.run(_serve(settings, house))
        finally:
            _conclude(house)


def _conclude(house: House) -> None:
    try:
        house.witness.conclude()
    except Exception:  # noqa: BLE001 - the stop goes on; verifying will show that the end was not witnessed
        _log.exception("last_checkpoint_failed")


if __name__ == "__main__":
    main()
