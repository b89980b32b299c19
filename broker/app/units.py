"""The site's systemd units: the packaged ones with this site's paths, user ids, addresses and ports put in.

The packaged files name the defaults and documentation addresses, so that a unit installed by hand listens nowhere.
"""

import ipaddress
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from broker.app.settings import Settings

_PROGRAMS: Final = "/opt/sallyport/bin"
_STATE: Final = "/var/lib/sallyport"
_RUN: Final = "/run/sallyport"
_CONFIG: Final = "/etc/sallyport/sallyport.toml"
_ARCHIVE: Final = "sallyport-archive."
_USER_LINE: Final = re.compile(r"^u sallyport-(\w+)(\s+)\d+ ", re.MULTILINE)
# Neither blanks nor '%' (a specifier) nor quotes, so that a path means the same in a unit as in the settings.
_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9._/-]+")


class UnitsError(Exception):
    """The units cannot be written for these settings: says why."""


def packaged() -> Path:
    """Where the packaged files are: inside the package when installed, `deploy/systemd` in a checkout."""
    installed = Path(__file__).parent / "systemd"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "deploy" / "systemd"


def rendered(settings: Settings, config: Path, programs: Path | None = None) -> dict[str, str]:
    """Every file of this site, by its path below `/etc`.

    `programs` is the folder of `python` and `sallyport`; None means those that run now. Raises UnitsError when a path
    has a character that a unit file would read otherwise.
    """
    replaced = {
        _PROGRAMS: str(programs or Path(sys.executable).parent),
        _STATE: settings.site.state_dir.rstrip("/"),
        _RUN: settings.site.run_dir.rstrip("/"),
        _CONFIG: str(config),
    }
    for path in replaced.values():
        _plain(path)
    run = Path(replaced[_RUN])
    if run.parent != Path("/run"):
        raise UnitsError(f"site.run_dir: systemd makes it below /run, for example {_RUN}, not {run}")
    source = packaged()
    files = {
        f"systemd/{path.relative_to(source)}": _with_paths(path.read_text(encoding="utf-8"), replaced, run.name)
        for path in sorted((source / "system").iterdir())
        if settings.object_store.is_used or not path.name.startswith(_ARCHIVE)
    }
    users = _with_users((source / "sysusers.d" / "sallyport.conf").read_text(encoding="utf-8"), settings)
    return {**files, **_drop_ins(settings), "sysusers.d/sallyport.conf": users}


def _plain(path: str) -> str:
    if not _PLAIN_PATH.fullmatch(path):
        raise UnitsError(f"{path!r} cannot stand in a unit file: use letters, digits and . _ - in paths")
    return path


def _with_paths(text: str, replaced: Mapping[str, str], run_name: str) -> str:
    # One pass, so that what was put in is not replaced again.
    found = re.compile("|".join(re.escape(path) for path in sorted(replaced, key=len, reverse=True)))
    text = found.sub(lambda match: replaced[match.group()], text)
    return text.replace("RuntimeDirectory=sallyport\n", f"RuntimeDirectory={run_name}\n")


def _with_users(text: str, settings: Settings) -> str:
    def numbered(match: re.Match[str]) -> str:
        return f"u sallyport-{match.group(1)}{match.group(2)}{getattr(settings.users, match.group(1))} "

    return _USER_LINE.sub(numbered, text)


def _drop_ins(settings: Settings) -> dict[str, str]:
    vendor, plant = settings.vendor_face, settings.plant_face
    listen = vendor.listen or vendor.host
    sockets = {
        "tls": ["ListenStream=", f"ListenStream={_endpoint(listen, vendor.tls_port)}"],
        "ssh": ["ListenStream=", f"ListenStream={_endpoint(listen, vendor.ssh_port)}"],
        "knock": ["ListenDatagram=", *(f"ListenDatagram={_endpoint(listen, port)}" for port in vendor.knock_ports)],
        "plant": [
            "ListenStream=",
            f"ListenStream={_endpoint(plant.host, plant.port)}",
            "IPAddressAllow=" + " ".join(plant.networks),
        ],
    }
    drop_ins = {
        f"systemd/system/sallyport-{name}.socket.d/10-site.conf": "\n".join(["[Socket]", *lines, ""])
        for name, lines in sockets.items()
    }
    witness = settings.evidence.witness_file
    if witness:
        folder = _plain(str(Path(witness).parent))
        drop_ins["systemd/system/sallyport-control.service.d/10-site.conf"] = f"[Service]\nReadWritePaths={folder}\n"
    if settings.object_store.is_used:
        address, _ = settings.object_store.target
        lines = ["[Service]", f"IPAddressAllow={address}", ""]
        drop_ins[f"systemd/system/{_ARCHIVE}service.d/10-site.conf"] = "\n".join(lines)
    return drop_ins


def _endpoint(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ipaddress.ip_address(host).version == 6 else f"{host}:{port}"
