"""Every `sallyport` command but `up`: set-up on the host, and an auditor's reading over the plant face."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from broker.app import console_client, keys, settings
from broker.app.cli import DEFAULT_CONFIG
from broker.app.layout import Layout
from broker.kernel.errors import SallyportError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The gate for remote maintenance: plant side.")
audit_app = typer.Typer(no_args_is_help=True, help="Read the audit trail.")
recordings_app = typer.Typer(no_args_is_help=True, help="Read recordings of sessions.")
app.add_typer(audit_app, name="audit")
app.add_typer(recordings_app, name="recordings")

ConfigOption = Annotated[Path, typer.Option("--config", help="The site's settings file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def run() -> None:
    """Run the command that was typed; refusals become one clear line and status 1."""
    try:
        app()
    except (settings.SettingsError, console_client.ConsoleError, keys.AlreadyInitialised, SallyportError) as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    print(f"sallyport: {message}", file=sys.stderr)
    raise SystemExit(1)


def _become_control(read: settings.Settings) -> None:
    """Work as the control plane's user, so that no file of the database ever belongs to root."""
    if os.geteuid() != 0:
        _fail("this works on the site's own files: run it as root on the broker's host")
    os.setgroups([])
    os.setresgid(read.users.control, read.users.control, read.users.control)
    os.setresuid(read.users.control, read.users.control, read.users.control)


@app.command()
def init(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Make a new site's folders, keys and database."""
    from broker.app import migrations

    if os.geteuid() != 0:
        _fail("keys are given to the users that own them: run it as root")
    read = settings.load(config)
    keys.initialise(read, datetime.now(UTC))
    layout = Layout.of(read)
    guard = [sys.executable, "-P", "-m", "spa_knock.guard", "--state-dir", str(layout.guard), "--init"]
    subprocess.run(guard, check=True, user=read.users.guard, group=read.users.guard, extra_groups=[], cwd="/")
    _become_control(read)
    migrations.upgrade(layout.database_url(read))
    print(f"Site {read.site.name} is ready in {layout.state}.")
    print(f"Move {layout.offline}/site-root.key to offline storage; the running site never needs it.")
    print("Next: sallyport first-admin --username NAME, then sallyport up.")


@app.command("first-admin")
def first_admin(
    username: Annotated[str, typer.Option(help="Sign-in name of the first system administrator.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print the one-use link with which the first administrator sets password and second factor."""
    from broker.app import wiring

    read = settings.load(config)
    _become_control(read)
    with wiring.opened(read) as house:
        token = house.people.first_administrator(username).reveal()
    print(f"https://{read.plant_face.host}:{read.plant_face.port}/activate#{token}")


@app.command("config")
def show_settings() -> None:
    """List every setting with its type, default and meaning."""
    for key, kind, default, meaning in settings.described():
        print(f"{key:28} {kind:14} {default:24} {meaning}")


@app.command("sign-in")
def sign_in(
    console: Annotated[str, typer.Option(help="The console's address, for example https://10.20.0.10:8443.")],
    site_root: Annotated[Path, typer.Option(help="The site root certificate (PEM).")],
    username: Annotated[str, typer.Option(help="Your sign-in name.")],
    password_file: Annotated[Path | None, typer.Option(help="Read the password from this file.")] = None,
    totp_file: Annotated[Path | None, typer.Option(help="Read the one-time code from this file.")] = None,
) -> None:
    """Sign in to the console, for the commands that read from it."""
    password = _secret(password_file, "Password")
    totp = _secret(totp_file, "One-time code")
    session = console_client.sign_in(console, site_root.read_text(encoding="ascii"), username, password, totp)
    console_client.save(session, console_client.session_file())
    print(f"Signed in as {session.display_name}.")


@app.command("sign-out")
def sign_out() -> None:
    """End the console session of this command line."""
    path = console_client.session_file()
    console_client.sign_out(console_client.load(path))
    path.unlink(missing_ok=True)
    print("Signed out.")


@audit_app.command("list")
def audit_list(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many events.")] = 50,
    code: Annotated[str | None, typer.Option(help="Only this code; a trailing * matches the rest.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest audit events, oldest of them first."""
    session = console_client.load(console_client.session_file())
    query = f"/audit/events?limit={limit}" + (f"&code={code}" if code else "")
    items = json.loads(console_client.get(session, query))["items"]
    if as_json:
        print(json.dumps(items, ensure_ascii=False, indent=1))
        return
    for item in reversed(items):
        facts = " ".join(f"{name}={value}" for name, value in item["params"].items() if value not in (None, ""))
        print(f"{item['seq']:>6} {item['at']} {item['code']:36} {item['actor']} → {item['subject']} {facts[:200]}")


@audit_app.command("state")
def audit_state() -> None:
    """Have the console walk the hash chain and say whether it holds."""
    session = console_client.load(console_client.session_file())
    state = json.loads(console_client.get(session, "/audit/state"))
    print(json.dumps(state, indent=1))
    if not state["verified"]:
        _fail("the audit chain does not hold")


@recordings_app.command("play")
def recordings_play(
    recording: Annotated[str, typer.Argument(help="The recording's id (rec_…).")],
    speed: Annotated[float, typer.Option(min=0.1, max=100.0)] = 1.0,
    idle_limit: Annotated[float, typer.Option(min=0.1, help="Longest pause, in seconds.")] = 2.0,
) -> None:
    """Replay a recording in this terminal with asciinema."""
    player = _player()
    session = console_client.load(console_client.session_file())
    with tempfile.TemporaryDirectory(prefix="sallyport-") as folder:
        cast = Path(folder) / "recording.cast"
        cast.write_bytes(console_client.get(session, f"/recordings/{recording}/cast"))
        command = [player, "play", "-s", str(speed), "-i", str(idle_limit), str(cast)]
        played = subprocess.run(command, check=False, env={**os.environ, "ASCIINEMA_CONFIG_HOME": folder})
    if played.returncode != 0:
        _fail(f"asciinema ended with status {played.returncode}")


@recordings_app.command("export")
def recordings_export(
    recording: Annotated[str, typer.Argument(help="The recording's id (rec_…).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The asciicast v2 file to write.")],
) -> None:
    """Export a recording as asciicast v2."""
    session = console_client.load(console_client.session_file())
    content = console_client.get(session, f"/recordings/{recording}/cast")
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    print(f"{output}: {len(content)} bytes")


def _player() -> str:
    beside = Path(sys.executable).parent / "asciinema"
    player = str(beside) if beside.is_file() else shutil.which("asciinema")
    if player is None:
        _fail("the program asciinema is not installed; 'sallyport recordings export' writes a file for any player")
    return player


def _secret(path: Path | None, prompt: str) -> str:
    if path is not None:
        return path.read_text(encoding="utf-8").strip()
    return str(typer.prompt(prompt, hide_input=True))
