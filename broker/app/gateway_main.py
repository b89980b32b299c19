"""The gateway process: its sockets, its keys, every protocol that is found."""

import argparse
import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Final

from broker.app import logs
from broker.app.layout import Layout
from broker.app.settings import Settings, load
from broker.gateway.gateway import Gateway, GatewayConfig
from broker.gateway.recording_care import RecordingCare
from broker.protocols.catalogue import find_protocols
from spa_knock.link.process import harden, listen_sockets, notify_ready

_MIB: Final = 1 << 20


def configuration(settings: Settings) -> GatewayConfig:
    """The gateway's configuration, with the sockets that the supervisor passed."""
    layout, sockets = Layout.of(settings), listen_sockets()
    return GatewayConfig(
        authority_socket=layout.socket("authority"),
        vendor_socket=layout.socket("vendor"),
        recordings_dir=layout.recordings,
        state_dir=layout.gateway,
        ssh_host_key_file=layout.gateway / "ssh_host_key",
        ssh_host_certificate_file=layout.gateway / "ssh_host_key-cert.pub",
        tls_chain_file=layout.gateway / "front.pem",
        tls_key_file=layout.gateway / "front.key",
        device_ca_file=layout.device_authority,
        evidence_key_file=layout.gateway / "evidence.key",
        tombstone_key_file=layout.checkpoint_public,
        receipt_key_file=layout.receipts_public if settings.object_store.is_used else None,
        tls=tuple(sockets.pop("tls")),
        knocks=tuple(sockets.pop("knocks")),
        cut=tuple(sockets.pop("cut", ())),
        protocols={name: tuple(listeners) for name, listeners in sockets.items()},
        opener_socket=layout.socket("opener-gateway"),
        guard_uid=settings.users.guard,
        care=care_of(settings),
    )


def care_of(settings: Settings) -> RecordingCare:
    """How this site's recordings are cared for."""
    section = settings.recordings
    return RecordingCare(
        reserve_bytes=section.reserve_mib * _MIB,
        most_bytes=section.most_mib * _MIB,
        sync_seconds=section.sync_seconds,
        anchor_seconds=section.anchor_seconds,
        least_free_bytes=section.least_free_mib * _MIB,
    )


async def _run(gateway: Gateway) -> None:
    running = asyncio.ensure_future(gateway.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as tasks:
            announcing = tasks.create_task(_announce(gateway))
            await running
            announcing.cancel()


async def _announce(gateway: Gateway) -> None:
    await gateway.ready.wait()
    notify_ready()


def name_the_user() -> None:
    """Give the user id, which no password file knows, what asyncssh asks of every user: a name and a home."""
    os.environ.setdefault("LOGNAME", "sallyport")
    os.environ.setdefault("HOME", "/nonexistent")


def main() -> None:
    """Entry point of the gateway process."""
    harden()
    name_the_user()
    parser = argparse.ArgumentParser(prog="sallyport gateway", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    logs.configure("gateway")
    asyncio.run(_run(Gateway(configuration(load(arguments.config)), find_protocols())))


if __name__ == "__main__":
    main()
