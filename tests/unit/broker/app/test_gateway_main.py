import socket
import subprocess
import sys
from pathlib import Path

import pytest

from broker.app import gateway_main, settings
from broker.app.gateway_main import care_of
from broker.app.settings import Settings


def test_the_gateway_gets_the_sockets_that_the_supervisor_passed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as tls, socket.socket() as ssh, socket.socket(socket.AF_UNIX) as knocks:
        passed = {"tls": [tls], "ssh": [ssh], "knocks": [knocks]}
        monkeypatch.setattr(gateway_main, "listen_sockets", lambda: passed)
        config = gateway_main.configuration(settings)
        assert config.tls == (tls,)
        assert config.protocols == {"ssh": (ssh,)}
        assert config.knocks == (knocks,)
    assert config.guard_uid == settings.users.guard


def test_the_gateways_process_loads_no_database_and_no_web_framework() -> None:
    probe = (
        "import sys; import broker.app.gateway_main as g; [__import__(s.listener.split(':')[0]) "
        "for s in g.find_protocols()]; print([n for n in ('sqlmodel', 'sqlalchemy', 'fastapi') if n in sys.modules])"
    )
    root = Path(__file__).parents[4]
    printed = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60, cwd=root
    )
    assert printed.stdout.strip() == "[]"


def test_a_user_without_an_entry_in_the_password_file_can_dial() -> None:
    probe = (
        "import asyncio, asyncssh, os; from broker.app.gateway_main import name_the_user; "
        "os.getuid() == 0 and os.setresuid(61186, 61186, 61186); name_the_user(); "
        "asyncio.run(asyncssh.SSHClientConnectionOptions.construct(None, username='maint', known_hosts=None))"
    )
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[4])}
    command = [sys.executable, "-c", probe]
    subprocess.run(command, env=environment, check=True, timeout=60, cwd="/")


def test_the_site_says_how_recordings_are_cared_for() -> None:
    read = settings.parse(
        {
            "site": {"name": "demo"},
            "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
            "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
            "recordings": {"sync_seconds": 2.5, "reserve_mib": 2, "most_mib": 100},
        }
    )
    care = care_of(read)
    assert (care.sync_seconds, care.reserve_bytes, care.most_bytes) == (2.5, 2 << 20, 100 << 20)
