"""The Dockerfile and the compose file. No container engine runs here: the files are read strictly, and the processes
are started as the compose file says, with exactly its capabilities, in a network namespace.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]
_PROCESSES = ("opener", "control", "gateway", "guard")
_READ_YAML = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)"
_STYLE = "{extends: default, rules: {line-length: {max: 160}, document-start: disable, truthy: {check-keys: false}}}"
_SETTINGS = """
[site]
name = "demo"
state_dir = "{folder}/state"
run_dir = "{folder}/run"
[vendor_face]
host = "127.0.0.1"
interface = "out0"
[plant_face]
host = "127.0.0.1"
interface = "mgmt0"
networks = ["10.30.0.0/24"]
"""


def _instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, arguments), continuation lines joined."""
    lines = [line for line in (_ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file, as Debian's YAML reader gives it."""
    command = ["/usr/bin/python3", "-c", _READ_YAML, str(_ROOT / "deploy" / "compose.yaml")]
    read = subprocess.run(command, capture_output=True, text=True, check=True)
    parsed: dict[str, Any] = json.loads(read.stdout)
    return parsed


def test_the_image_is_built_of_known_instructions_from_tagged_bases() -> None:
    instructions = _instructions()
    known = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "LABEL", "ENV", "USER", "STOPSIGNAL", "HEALTHCHECK"}
    assert {word for word, _ in instructions} <= known | {"ENTRYPOINT", "CMD"}
    bases = {rest.split(" AS ")[0] for word, rest in instructions if word == "FROM"}
    assert bases == {"${DEBIAN_IMAGE}", "${NODE_IMAGE}"}
    defaults = dict(rest.split("=", 1) for word, rest in instructions if word == "ARG")
    for name in ("DEBIAN_IMAGE", "NODE_IMAGE"):
        assert re.fullmatch(r"[a-z0-9./]+:[0-9][a-z0-9.-]+", defaults[name]), "a base has a tag, and not 'latest'"


def test_every_file_that_is_copied_exists_and_is_let_through() -> None:
    allowed = {line[1:] for line in (_ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for word, rest in _instructions():
        if word != "COPY" or rest.startswith("--from="):
            continue
        for source in rest.split()[:-1]:
            assert (_ROOT / source).exists(), source
            assert any(source == one or source.startswith(f"{one}/") for one in allowed), source


def test_the_image_runs_as_nobody_of_rank_and_says_what_it_is() -> None:
    instructions = _instructions()
    final = instructions[max(number for number, one in enumerate(instructions) if one[0] == "FROM") :]
    found = dict(final)
    assert found["USER"] == "61187:61187"
    for word in ("HEALTHCHECK", "ENTRYPOINT", "CMD"):
        assert re.search(r"\[\".*\"\]$", found[word]), "no shell stands between"
    for label in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in found["LABEL"]


def test_everything_that_is_installed_from_an_index_is_hashed() -> None:
    for word, rest in _instructions():
        if word == "RUN":
            for command in re.split(r"&&|;", rest):
                if "pip install" in command and "--no-deps /wheels" not in command:
                    assert "--require-hashes" in command, command
                assert "curl" not in command
                assert "wget" not in command
    assert ("RUN", '["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]') in _instructions()


@pytest.mark.skipif(shutil.which("yamllint") is None, reason="needs the package yamllint")
def test_the_compose_file_is_well_formed() -> None:
    command = ["yamllint", "--strict", "-d", _STYLE, str(_ROOT / "deploy" / "compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_only_the_opener_and_the_rules_may_touch_the_firewall(compose: dict[str, Any]) -> None:
    services = compose["services"]
    with_firewall = {name for name, service in services.items() if "NET_ADMIN" in service.get("cap_add", [])}
    assert with_firewall == {"opener", "rules"}
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert not {"privileged", "ports", "devices", "pid", "ipc"} & set(service), name
        assert not any("docker.sock" in volume for volume in service.get("volumes", [])), name


def test_four_processes_share_one_namespace_and_wait_for_the_rules(compose: dict[str, Any]) -> None:
    for name in _PROCESSES:
        service = compose["services"][name]
        assert service["command"] == ["serve", name]
        assert service["network_mode"] == "service:network"
        assert service["depends_on"]["rules"] == {"condition": "service_completed_successfully"}
    assert set(compose["services"]) == {*_PROCESSES, "archive", "network", "rules", "init"}
    archive = compose["services"]["archive"]
    assert (archive["command"], archive["profiles"]) == (["serve", "archive"], ["object-store"])


@pytest.fixture
def room(compose: dict[str, Any]) -> Iterator[tuple[Path, list[str]]]:
    """A folder for state and sockets, and the words that run a program inside its namespace."""
    assert compose
    folder = Path(tempfile.mkdtemp(prefix="sp-image-"))
    folder.chmod(0o755)
    inside = ["ip", "netns", "exec", folder.name]
    try:
        subprocess.run(["ip", "netns", "add", folder.name], check=True)
        subprocess.run(["ip", "-n", folder.name, "link", "set", "lo", "up"], check=True)
        for name, value in compose["services"]["network"]["sysctls"].items():
            path = "/proc/sys/" + name.replace(".", "/")
            subprocess.run([*inside, "tee", path], input=value.encode(), check=True, stdout=subprocess.DEVNULL)
        (folder / "run").mkdir()
        (folder / "site.toml").write_text(_SETTINGS.format(folder=folder))
        yield folder, inside
    finally:
        subprocess.run(["ip", "netns", "del", folder.name], check=False)
        shutil.rmtree(folder)


def _contained(service: dict[str, Any], folder: Path) -> list[str]:
    """The words that run this service's command with its capabilities and no other."""
    kept = "".join(f",+{name.lower()}" for name in service.get("cap_add", []))
    sallyport = str(Path(sys.executable).parent / "sallyport")
    return [
        *("setpriv", f"--bounding-set=-all{kept}", "--inh-caps=-all", "--no-new-privs", "--clear-groups", "--"),
        *(sallyport, *service["command"], "--config", str(folder / "site.toml")),
    ]


@pytest.mark.netns
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nftables")
def test_the_capabilities_of_the_compose_file_are_enough(compose: dict[str, Any], room: tuple[Path, list[str]]) -> None:
    folder, inside = room
    services = compose["services"]
    for name in ("init", "rules"):
        command = [*inside, *_contained(services[name], folder)]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in _PROCESSES:
            with (folder / f"{name}.log").open("w") as log:
                command = [*inside, *_contained(services[name], folder)]
                running[name] = subprocess.Popen(command, cwd="/", stderr=log)
        _wait_until_alive(folder, inside, running)
        for name in _PROCESSES:
            status = Path(f"/proc/{running[name].pid}/status").read_text()
            wanted = "0000000000001000" if name == "opener" else "0000000000000000"
            assert re.search(r"^CapEff:\t(\w+)$", status, re.MULTILINE).group(1) == wanted  # type: ignore[union-attr]
            assert re.search(r"^CapBnd:\t(\w+)$", status, re.MULTILINE).group(1) == wanted  # type: ignore[union-attr]
            assert re.search(r"^Uid:\t611\d\d\t611\d\d", status, re.MULTILINE)
        assert _failed(folder, inside) == set(), "a site that runs is found fit"
        subprocess.run([*inside, "nft", "add", "rule", "inet", "sallyport", "incoming", "accept"], check=True)
        assert _failed(folder, inside) == {"firewall"}
        subprocess.run([*inside, "nft", "delete", "table", "inet", "sallyport"], check=True)
        assert _failed(folder, inside) == {"firewall"}
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait(30)


def _failed(folder: Path, inside: list[str]) -> set[str]:
    """What the doctor finds failed on this site."""
    sallyport = str(Path(sys.executable).parent / "sallyport")
    command = [*inside, sallyport, "doctor", "--json", "--config", str(folder / "site.toml")]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    told = json.loads(done.stdout)
    failed = {finding["name"] for finding in told["findings"] if finding["state"] == "fail"}
    assert (told["healthy"], done.returncode) == (not failed, int(bool(failed)))
    return failed


def _wait_until_alive(folder: Path, inside: list[str], running: dict[str, subprocess.Popen[bytes]]) -> None:
    command = [*inside, str(Path(sys.executable).parent / "sallyport"), "alive", "--config", str(folder / "site.toml")]
    limit = time.monotonic() + 60
    while (asked := subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)).returncode != 0:
        logs = "\n".join((folder / f"{name}.log").read_text() for name in running)
        assert all(process.poll() is None for process in running.values()), logs
        assert time.monotonic() < limit, logs + asked.stderr
        time.sleep(0.3)
