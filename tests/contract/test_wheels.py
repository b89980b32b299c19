"""The two wheels as they ship: built from this checkout, each installed beside the locked packages alone."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("broker", "recorder", "spa_knock")
_SERVER_ONLY = (
    "fastapi",
    "uvicorn",
    "sqlmodel",
    "sqlalchemy",
    "alembic",
    "asyncssh",
    "authlib",
    "structlog",
    "starlette",
)
_DAEMONS = ("broker.app.control_main", "broker.app.gateway_main", "spa_knock.opener", "spa_knock.guard")


def _uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    assert found, "uv is missing: run ./dev setup"
    return found


def _run(*command: str, cwd: Path = Path("/"), **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        command, cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, timeout=300, check=False
    )


def _must(*command: str, cwd: Path = Path("/")) -> str:
    done = _run(*command, cwd=cwd)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The client's and the server's wheel."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in (_ROOT / "deploy" / "client", _ROOT):
        _must(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=project)
    (client,), (server,) = folder.glob("sallyport_client-*.whl"), folder.glob("sallyport-*.whl")
    return {"client": client, "server": server}


def _environment(folder: Path, lock: Path, *wheels: Path) -> Path:
    """An environment with the locked packages and these wheels; returns its folder of programs."""
    _must(_uv(), "venv", "-q", "--python", "/usr/bin/python3", str(folder))
    python = str(folder / "bin" / "python")
    _must(_uv(), "pip", "install", "-q", "--python", python, "--require-hashes", "-r", str(lock))
    _must(_uv(), "pip", "install", "-q", "--python", python, "--no-deps", "--no-cache", *map(str, wheels))
    _must(_uv(), "pip", "check", "-q", "--python", python)
    return folder / "bin"


@pytest.fixture(scope="module")
def client_bin(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vendor's environment."""
    folder = tmp_path_factory.mktemp("client") / "env"
    return _environment(folder, _ROOT / "deploy" / "client" / "requirements.lock", wheels["client"])


@pytest.fixture(scope="module")
def server_bin(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The broker host's environment."""
    folder = tmp_path_factory.mktemp("server") / "env"
    return _environment(folder, _ROOT / "deploy" / "requirements.lock", wheels["client"], wheels["server"])


def _files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def _metadata(wheel: Path) -> dict[str, list[str]]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        message = message_from_string(archive.read(name).decode())
    return {key: [str(value) for value in message.get_all(key, [])] for key in message}


def test_the_wheels_share_no_file_and_together_hold_every_module(wheels: dict[str, Path]) -> None:
    client, server = _files(wheels["client"]), _files(wheels["server"])
    assert not client & server
    modules = {str(path.relative_to(_ROOT)) for package in _PACKAGES for path in (_ROOT / package).rglob("*.py")}
    shipped = {name for name in client | server if name.endswith(".py") and "/db_migrations/" not in name}
    assert shipped == modules


def test_the_client_carries_nothing_of_the_server(wheels: dict[str, Path]) -> None:
    folders = {name.rsplit("/", 1)[0] for name in _files(wheels["client"])}
    assert folders == {"spa_knock", "spa_knock/client", "spa_knock/link", "spa_knock/wire"}


def test_the_server_requires_the_client_of_exactly_its_version(wheels: dict[str, Path]) -> None:
    client, server = _metadata(wheels["client"]), _metadata(wheels["server"])
    assert client["Version"] == server["Version"]
    assert f"sallyport-client=={server['Version'][0]}" in server["Requires-Dist"]
    assert client["Requires-Dist"] == ["cryptography", "typer"]


def test_the_client_locks_the_same_packages_as_the_server() -> None:
    def pins(path: Path) -> dict[str, str]:
        lines = [line.split(" ")[0] for line in path.read_text().splitlines() if "==" in line and line[0].isalpha()]
        return dict(line.split("==") for line in lines)

    everything = pins(_ROOT / "requirements.lock")
    for lock in (_ROOT / "deploy" / "requirements.lock", _ROOT / "deploy" / "client" / "requirements.lock"):
        # What only other systems need (colorama) is not in the developers' lock.
        assert {name: version for name, version in pins(lock).items() if everything.get(name, version) != version} == {}


def test_the_clients_build_names_what_the_servers_build_leaves_out() -> None:
    client = tomllib.loads((_ROOT / "deploy" / "client" / "pyproject.toml").read_text())
    server = tomllib.loads((_ROOT / "pyproject.toml").read_text())
    included = client["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].values()
    excluded = server["tool"]["hatch"]["build"]["targets"]["wheel"]["exclude"]
    assert sorted(f"/{path}" for path in included) == sorted(excluded)
    assert client["build-system"] == server["build-system"]


def test_the_client_says_its_version(client_bin: Path, wheels: dict[str, Path]) -> None:
    told = json.loads(_must(str(client_bin / "sally"), "version", "--json"))
    assert [told["version"]] == _metadata(wheels["client"])["Version"]


def test_the_client_refuses_an_invite_that_is_none(client_bin: Path, tmp_path: Path) -> None:
    (tmp_path / "invite.txt").write_text("hello\n")
    done = _run(str(client_bin / "sally"), "enroll", str(tmp_path / "invite.txt"), SALLY_HOME=str(tmp_path / "home"))
    assert done.returncode not in (0, 1)
    assert "This invite cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "device.key").exists()


def test_the_clients_helper_runs(client_bin: Path, tmp_path: Path) -> None:
    done = _run(str(client_bin / "sally-helper"), "proxy", "press-01", SALLY_HOME=str(tmp_path))
    assert done.returncode == 255
    assert done.stderr.startswith("sally: ")


def test_no_part_of_the_server_can_be_imported_beside_the_client(client_bin: Path) -> None:
    names = ("broker", "recorder", "spa_knock.opener", "spa_knock.guard", "spa_knock.link.rate", *_SERVER_ONLY)
    code = (
        "import importlib.util, sys\n"
        "def found(name):\n"
        "    try: return importlib.util.find_spec(name) is not None\n"
        "    except ModuleNotFoundError: return False\n"
        "print(*[name for name in sys.argv[1:] if found(name)])"
    )
    assert _must(str(client_bin / "python"), "-P", "-c", code, *names).strip() == ""


def test_the_server_brings_the_console_and_the_history_of_the_schema(server_bin: Path, wheels: dict[str, Path]) -> None:
    files = _files(wheels["server"])
    assert "broker/app/console/index.html" in files
    assert any(name.startswith("broker/adapters/db_migrations/versions/0001") for name in files)
    code = (
        "from broker.app import console, migrations; from alembic.script import ScriptDirectory\n"
        "print((console.built_console() / 'index.html').is_file(), 'site-packages' in str(migrations.scripts()))\n"
        "print(ScriptDirectory.from_config(migrations.configuration('sqlite://')).get_current_head())"
    )
    told = _must(str(server_bin / "python"), "-P", "-c", code).split()
    assert told[:2] == ["True", "True"]
    assert told[2] != "None"


def test_the_servers_command_line_lists_its_settings(server_bin: Path) -> None:
    assert "plant_face.networks" in _must(str(server_bin / "sallyport"), "config")


def test_every_process_starts_on_the_locked_packages_alone(server_bin: Path) -> None:
    for module in _DAEMONS:
        assert "usage:" in _must(str(server_bin / "python"), "-P", "-m", module, "--help")
