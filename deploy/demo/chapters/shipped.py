"""What is delivered, used as it is delivered: two wheels in environments of their own, and the operator's commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.demo import acts, newcomer
from deploy.demo.acts import NAME
from deploy.demo.chapters import proof
from deploy.demo.lab import BROKER
from deploy.demo.people import ADMIN, KELLER, LIN
from deploy.demo.plant_api import Json, text_of
from deploy.demo.room import CHECKOUT
from deploy.demo.stage import Stage, StepFailed
from deploy.demo.workstation import Desk

_UV = Path(sys.executable).parent / "uv"
_SECOND = "keller-second-laptop"
_SERVERS_PARTS = (
    *("broker", "recorder", "spa_knock.opener", "spa_knock.guard"),
    *("fastapi", "uvicorn", "sqlalchemy", "alembic", "asyncssh", "structlog"),
)
_FIND = """\
import importlib.util, sys
def is_there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
print(*[name for name in sys.argv[1:] if is_there(name)])
"""
_STARTED = 'sallyport_audit_events_total{code="sessions.session.started"} '
_UNITS = ("opener", "guard", "gateway", "control")


def shipped(stage: Stage) -> None:
    """The two wheels work from environments of their own; doctor, metrics, logs, units and backup keep their word."""
    folder = stage.lab.dir / "shipped"
    folder.mkdir(mode=0o755)
    client, server = _built(folder)
    _client_alone(stage, client)
    programs = _environment(folder / "server", "deploy/requirements.lock", client, server)
    _doctor(stage, programs)
    _measured(stage)
    _logged(stage)
    _units_are_sound(stage, programs, folder)
    _backed_up(stage, programs, folder)


def _built(folder: Path) -> tuple[Path, Path]:
    """Both wheels from this checkout, side by side."""
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    building = [
        subprocess.Popen(argv, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for place in (CHECKOUT / "deploy" / "client", CHECKOUT)
    ]
    for process in building:
        said, _ = process.communicate(timeout=120)
        if process.returncode != 0:
            raise StepFailed(f"the wheels cannot be built: {said[-1500:]}")
    (client,), (server,) = folder.glob("sallyport_client-*.whl"), folder.glob("sallyport-*.whl")
    return client, server


def _environment(place: Path, lock: str, *wheels: Path) -> Path:
    """An empty environment with the locked packages and these wheels; its folder of programs."""
    python = str(place / "bin" / "python")
    # Relocatable, because a desk sees its home under another path than the machine does.
    _must(str(_UV), "venv", "-q", "--relocatable", "--python", "/usr/bin/python3", str(place))
    _must(str(_UV), "pip", "install", "-q", "--python", python, "--require-hashes", "-r", str(CHECKOUT / lock))
    _must(str(_UV), "pip", "install", "-q", "--python", python, "--no-deps", "--no-cache", *map(str, wheels))
    _must(str(_UV), "pip", "check", "-q", "--python", python)
    return place / "bin"


def _must(*argv: str, env: dict[str, str] | None = None) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        argv, env=clean | (env or {}), capture_output=True, text=True, timeout=120, check=False, cwd="/"
    )
    if done.returncode != 0:
        raise StepFailed(f"{' '.join(argv)}: {(done.stdout + done.stderr)[-1500:]}")
    return done.stdout + done.stderr


def _client_alone(stage: Stage, wheel: Path) -> None:
    keller = stage.site.people[KELLER]
    desk = stage.desk(keller)
    _environment(desk.home / "client", "deploy/client/requirements.lock", wheel)
    programs = f"{desk.account.home}/client/bin"
    told = acts.output(desk, [f"{programs}/sally", "version", "--json"])
    stage.prove(
        f"the client's wheel, alone in an empty environment: sally {told['version']}",
        holds=str(told["version"]) == wheel.name.split("-")[1],
        found=told,
    )
    found = desk.run([f"{programs}/python", "-P", "-c", _FIND, *_SERVERS_PARTS])
    stage.prove(
        "no part of the server and nothing that only the server needs is there",
        holds=found.returncode == 0 and found.stdout.strip() == "",
        found=found.stdout + found.stderr,
    )
    _second_laptop(stage, desk, ("env", f"SALLY_HOME={desk.account.home}/second", f"{programs}/sally"))


def _second_laptop(stage: Stage, desk: Desk, sally: tuple[str, ...]) -> None:
    lin = stage.console_of(stage.site.people[LIN])
    people = stage.console_of(stage.site.people[ADMIN]).items("/people")
    person_id = next(text_of(item, "id") for item in people if item["username"] == KELLER.username)
    device_id = newcomer.trusted_laptop(stage, desk, person_id, _SECOND, sally)
    stage.prove("it enrols a second laptop at the site, and the plant trusts it", holds=True)
    checked = desk.run([*sally, "doctor"])
    stage.prove(
        "its 'sally doctor' knocks at the site and finds nothing wrong", holds=checked.returncode == 0, found=checked
    )
    lin.post(f"/devices/{device_id}/retire")
    checked = desk.run([*sally, "doctor"])
    stage.prove(
        "once the laptop is retired it says that it is not let in", holds=checked.returncode != 0, found=checked
    )


def _doctor(stage: Stage, programs: Path) -> None:
    site = stage.site
    status, told = _diagnosis(stage, programs)
    findings = _findings(told)
    stage.prove(
        f"the server's wheels in an empty environment: of {len(findings)} checks of 'sallyport doctor' here none fails",
        holds=status == 0 and told.get("healthy") is True and len(findings) > 0,
        found=told,
    )
    key = site.state_dir / "control" / "key-encryption.key"
    mode = key.stat().st_mode & 0o777
    key.chmod(0o644)
    try:
        status, told = _diagnosis(stage, programs)
    finally:
        key.chmod(mode)
    bad = [one for one in _findings(told) if one["state"] == "fail"]
    stage.prove(
        "a key that others may read is found, named and told what to do about",
        holds=status == 1 and len(bad) == 1 and key.name in json.dumps(bad) and bool(bad[0]["do"]),
        found=bad,
    )
    stage.say(f"doctor says: {bad[0]['found']} → {bad[0]['do']}")


def _diagnosis(stage: Stage, programs: Path) -> tuple[int, Json]:
    argv = [str(programs / "sallyport"), "doctor", "--json", "--config", str(stage.site.config)]
    done = stage.lab.run(BROKER, argv, timeout_seconds=60.0, check=False)
    return done.returncode, json.loads(done.stdout or "{}") or {"said": done.stderr}


def _findings(told: Json) -> list[dict[str, str]]:
    found = told.get("findings")
    return found if isinstance(found, list) else []


def _measured(stage: Stage) -> None:
    console = stage.site.console
    before = _sessions_counted(_metrics(stage))
    desk = stage.desk(stage.site.people[KELLER])
    done = desk.run(["ssh", NAME, "true"])
    after = _sessions_counted(_metrics(stage))
    stage.prove(
        f"the metrics count sessions: {before} before one more command by ssh, {after} after it",
        holds=done.returncode == 0 and after == before + 1,
        found=(done.stderr, before, after),
    )
    refused = acts.refusal_of(lambda: console.ask("GET", "/metrics"))
    stage.prove("without their token they tell nothing", holds=refused != "", found="told")


def _metrics(stage: Stage) -> str:
    token = {"Authorization": f"Bearer {stage.site.metrics_token}"}
    return stage.site.console.ask("GET", "/metrics", headers=token)[1].decode()


def _sessions_counted(text: str) -> int:
    return next((int(line.removeprefix(_STARTED)) for line in text.splitlines() if line.startswith(_STARTED)), 0)


def _logged(stage: Stage) -> None:
    lines = stage.site.log.read_text(encoding="utf-8").splitlines()
    objects = [json.loads(line) for line in lines if line.startswith("{")]
    wanted = {"message", "level", "timestamp", "process"}
    lacking = [one for one in objects if not wanted <= set(one)]
    processes = {str(one["process"]) for one in objects if "process" in one}
    stage.prove(
        f"{len(objects)} lines of log by gateway and control are JSON objects with message, level, time and process",
        holds=not lacking and {"gateway", "control"} <= processes,
        found=(lacking[:3], processes),
    )


def _units_are_sound(stage: Stage, programs: Path, folder: Path) -> None:
    settings = stage.site.config.read_text(encoding="utf-8")
    own = stage.lab.dir / "run"
    config = folder / "units.toml"
    config.write_text(settings.replace(f'"{own}"', '"/run/sallyport"'), encoding="utf-8")
    stage.lab.run(BROKER, [str(programs / "sallyport"), "units", "--root", str(folder), "--config", str(config)])
    place = folder / "etc" / "systemd" / "system"
    said = _must(
        "systemd-analyze",
        "verify",
        *sorted(str(path) for path in place.iterdir() if path.is_file()),
        env={"SYSTEMD_UNIT_PATH": f"{place}:", "SYSTEMD_COLORS": "0"},
    )
    there = [name for name in _UNITS if (place / f"sallyport-{name}.service").is_file()]
    stage.prove(
        "'sallyport units' writes the four processes' units and sockets; systemd-analyze verify finds no fault",
        holds=said == "" and there == list(_UNITS),
        found=(said, there),
    )


def _backed_up(stage: Stage, programs: Path, folder: Path) -> None:
    """The witness is copied before the backup: a checkpoint of later records would not fit to what the backup holds."""
    state, place = stage.site.state_dir, folder / "restored"
    sallyport = str(programs / "sallyport")
    shutil.copytree(state / "witness", folder / "witness", copy_function=proof.copy_owned)
    archive = folder / "site.backup"
    made = stage.lab.run(
        BROKER, [sallyport, "backup", str(archive), "--config", str(stage.site.config)], timeout_seconds=60, check=False
    )
    stage.prove("'sallyport backup' of the running site writes one file", holds=made.returncode == 0, found=made.stderr)
    sealed = archive.read_bytes()
    stage.prove(
        f"it is sealed: none of its {len(sealed)} bytes says what the site is called",
        holds=b"hefei" not in sealed and b"SQLite" not in sealed,
    )
    config = folder / "restored.toml"
    settings = stage.site.config.read_text(encoding="utf-8")
    config.write_text(settings.replace(f'"{state}"', f'"{place}"'), encoding="utf-8")
    keys = (
        "--recovery-key",
        str(state / "offline" / "recovery.key"),
        "--kek",
        str(state / "control" / "key-encryption.key"),
    )
    done = stage.lab.run(
        BROKER, [sallyport, "restore", str(archive), *keys, "--config", str(config)], timeout_seconds=60, check=False
    )
    stage.prove("'sallyport restore' puts it in place where nothing was", holds=done.returncode == 0, found=done.stderr)
    for name, source in (("witness", folder / "witness"), ("recordings", state / "recordings")):
        shutil.copytree(source, place / name, copy_function=proof.copy_owned, dirs_exist_ok=True)
    checked = stage.lab.run(
        BROKER, [sallyport, "verify", "--json", "--config", str(config)], timeout_seconds=60, check=False
    )
    stage.prove(
        "with recordings and witness beside it, 'sallyport verify' finds the restored site whole",
        holds=checked.returncode == 0,
        found=checked.stdout[-2000:] + checked.stderr,
    )
