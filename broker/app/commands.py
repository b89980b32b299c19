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

from broker.app import (
    boundary_commands,
    console_client,
    evidence_commands,
    host_cut,
    host_knock,
    keys,
    knock_commands,
    receipt_commands,
    retention_commands,
    settings,
    units,
)
from broker.app.cli import DEFAULT_CONFIG
from broker.app.errors import CommandError
from broker.app.layout import Layout
from broker.kernel.errors import SallyportError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The gate for remote maintenance: plant side.")
audit_app = typer.Typer(no_args_is_help=True, help="Read the audit trail.")
recordings_app = typer.Typer(no_args_is_help=True, help="Read recordings of sessions.")
app.add_typer(audit_app, name="audit")
recordings_app.add_typer(retention_commands.app)
recordings_app.add_typer(receipt_commands.app)
app.add_typer(recordings_app, name="recordings")
app.add_typer(boundary_commands.app, name="boundary")
app.add_typer(knock_commands.app, name="knock")
app.add_typer(evidence_commands.app, name="evidence")

ConfigOption = Annotated[Path, typer.Option("--config", help="The site's settings file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
_REFUSALS = (
    settings.SettingsError,
    units.UnitsError,
    console_client.ConsoleError,
    keys.AlreadyInitialised,
    CommandError,
    host_cut.HostCutError,
    host_knock.HostKnockError,
    SallyportError,
)


def run() -> None:
    """Run the command that was typed; refusals become one clear line and status 1."""
    try:
        app()
    except _REFUSALS as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    print(f"sallyport: {message}", file=sys.stderr)
    raise SystemExit(1)


_become_control = knock_commands.become_control


@app.command()
def init(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Make a new site's folders, keys and database."""
    from broker.app import migrations

    if os.geteuid() != 0:
        _fail("keys are given to the users that own them: run it as root")
    read = settings.load(config)
    keys.initialise(read, datetime.now(UTC))
    layout = Layout.of(read)
    _new_guard_state(read, layout)
    _become_control(read)
    migrations.upgrade(layout.database_url(read))
    print(f"Site {read.site.name} is ready in {layout.state}.")
    print(f"Move what is in {layout.offline} to offline storage; the running site never needs it.")
    print(
        f"Keep a copy of {layout.control / keys.KEY_ENCRYPTION_KEY} apart from backups; they are of no use without it."
    )
    print("Next: sallyport first-admin --username NAME, sallyport first-admin --security --username ANOTHER, and then")
    print("sallyport up. The first enters people, the second confirms them: give the two links to two people.")


def _new_guard_state(read: settings.Settings, layout: Layout) -> None:
    guard = [sys.executable, "-P", "-m", "spa_knock.guard", "--state-dir", str(layout.guard), "--init"]
    subprocess.run(guard, check=True, user=read.users.guard, group=read.users.guard, extra_groups=[], cwd="/")


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    recovery_public: Annotated[
        Path | None, typer.Option(help="The recovery key's public half; public/recovery.pem unless given.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write database, keys and settings into one file that only the offline recovery key opens."""
    from broker.app import backup

    if os.geteuid() != 0:
        _fail("this reads the keys of every process: run it as root")
    read = settings.load(config)
    public = recovery_public or Layout.of(read).recovery_public
    made = backup.make(read, config, target, public, datetime.now(UTC), as_user=read.users.control)
    print(f"{target}: site {made.site} up to audit record {made.database.last_seq}, {target.stat().st_size} bytes")
    print("Recordings, the witness file and the key-encryption key are not in it: keep copies of them elsewhere.")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A file that 'sallyport backup' wrote.")],
    recovery_key: Annotated[Path, typer.Option(help="The offline recovery key.")],
    kek: Annotated[Path, typer.Option(help="The site's key-encryption key.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Put a site in place from a backup, on a machine that has none."""
    from broker.app import restore

    if os.geteuid() != 0:
        _fail("keys are given to the users that own them: run it as root")
    restored = restore.restore(source, recovery_key, kek, config)
    layout = Layout.of(restored.settings)
    _new_guard_state(restored.settings, layout)
    _become_control(restored.settings)
    restore.conclude(restored)
    copied = restored.manifest.database
    print(f"Site {restored.manifest.site} is back in {layout.state}, up to audit record {copied.last_seq}.")
    print(f"Copy the recordings back into {layout.recordings}, then run: sallyport verify --witness YOUR-COPY")


@app.command("renew-certificates")
def renew_certificates(
    root_key: Annotated[Path, typer.Option(help="The site root's private key, from offline storage.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Give vendor face, console and SSH door new keys and certificates for 397 days. Needs root."""
    from broker.app import certificate_renewal, events, wiring

    if os.geteuid() != 0:
        _fail("keys are given to the users that own them: run it as root")
    read = settings.load(config)
    renewed = certificate_renewal.renew(read, root_key, datetime.now(UTC))
    _become_control(read)
    with wiring.opened(read) as house, house.database.unit_of_work() as unit:
        ends_at = min(one.not_after for one in renewed).isoformat(timespec="seconds")
        unit.emit(events.ServerCertificatesRenewed(actor="system:host", subject=read.site.name, not_after=ends_at))
    for one in renewed:
        print(f"{one.name}: new key and certificate, until {one.not_after:%Y-%m-%d}")
    print("Take the root's key off this machine again. They are used from the next start of control and gateway on;")
    print("a restart of the gateway ends its sessions: sallyport cut --list shows whether there are any.")


@app.command("first-admin")
def first_admin(
    username: Annotated[str, typer.Option(help="Sign-in name of the first holder of the role.")],
    security: Annotated[bool, typer.Option("--security", help="The first security administrator instead.")] = False,
    name: Annotated[str, typer.Option(help="The person's name; the sign-in name unless given.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print the one-use link with which the first system or security administrator sets password and second factor.

    Each is made once on a site. The system administrator enters people, the security administrator confirms them: give
    the two links to two people.
    """
    from broker.app import wiring
    from broker.identities.model import Role

    role = Role.SECURITY_ADMINISTRATOR if security else Role.SYSTEM_ADMINISTRATOR
    read = settings.load(config)
    _become_control(read)
    with wiring.opened(read) as house:
        token = house.people.first_administrator(username, role, name).reveal()
    _print_activation_link(read, token)


@app.command("recover-admin")
def recover_admin(
    username: Annotated[str, typer.Option(help="Sign-in name of a system or security administrator.")],
    reason: Annotated[str, typer.Option(help="Why; the trail keeps it.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print a new one-use link for an administrator who cannot sign in and whom nobody else can reset and confirm."""
    from broker.app import wiring

    if not reason.strip():
        _fail("say why with --reason: the trail keeps it")
    read = settings.load(config)
    _become_control(read)
    with wiring.opened(read) as house:
        token = house.confirmation.recover(username, reason).reveal()
    _print_activation_link(read, token)


def _print_activation_link(read: settings.Settings, token: str) -> None:
    print(f"https://{read.plant_face.host}:{read.plant_face.port}/activate#{token}")


@app.command()
def verify(
    config: ConfigOption = DEFAULT_CONFIG,
    recording: Annotated[Path | None, typer.Option(help="Verify this recording's file instead of all.")] = None,
    witness: Annotated[Path | None, typer.Option(help="Your own copy of the witness file.")] = None,
    checkpoint_key: Annotated[Path | None, typer.Option(help="Your own copy of public/checkpoint.pem.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify audit trail, witness and recordings. Status 0: whole, 1: something is bad, 3: sound but unfinished."""
    from broker.app import verification

    read = settings.load(config)
    # Files of the auditor's own may be closed to the control plane's user: they are opened first.
    with verification.gathered(read, recording, witness, checkpoint_key) as scope:
        _become_control(read)
        findings = verification.verify_site(read, scope)
    print(json.dumps(findings.as_json(), ensure_ascii=False, indent=1) if as_json else "\n".join(findings.lines()))
    raise SystemExit(findings.exit_code)


@app.command("units")
def write_units(
    config: ConfigOption = DEFAULT_CONFIG,
    root: Annotated[Path, typer.Option(help="Write below this folder instead of the running system's.")] = Path("/"),
) -> None:
    """Write this site's systemd units and users below /etc."""
    files = units.rendered(settings.load(config), config.resolve())
    for name, content in files.items():
        path = root / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        path.chmod(0o644)
        print(path)
    print("Next: systemd-sysusers && systemctl daemon-reload")


@app.command("cut")
def cut_sessions(
    session: Annotated[str | None, typer.Argument(help="The session's id (ses_…), or --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every session that runs.")] = False,
    reason: Annotated[str, typer.Option(help="Why; the engineer reads this.")] = "",
    listed: Annotated[bool, typer.Option("--list", help="Only show what runs.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """End sessions at the gateway at once, also while the control plane is down. Needs root."""
    socket_path = Layout.of(settings.load(config)).socket("cut")
    if listed:
        for one in host_cut.running(socket_path):
            print(f"{one.session_id}  {one.person}  {one.source} → {one.account}@{one.target} ({one.protocol})")
        return
    if (session is None) != everything:
        _fail("name one session (sallyport cut --list shows them), or --all")
    if not reason.strip():
        _fail("say why with --reason: the engineer reads it and the trail keeps it")
    ended = host_cut.cut(socket_path, session, reason)
    for session_id in ended:
        print(f"{session_id} is cut.")
    if not ended:
        print("No session runs.")


@app.command()
def doctor(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Check this host: files, keys, database, firewall, clock, processes. Status 1 when something has failed."""
    from broker.app import doctor as doctor_

    if os.geteuid() != 0:
        _fail("it reads every process's files and the kernel's rules: run it as root on the broker's host")
    findings = doctor_.examine(config.resolve(), datetime.now(UTC))
    healthy = not doctor_.failures(findings)
    if as_json:
        print(json.dumps({"healthy": healthy, "findings": [one.as_json() for one in findings]}, ensure_ascii=False))
    else:
        print("\n".join(line for one in findings for line in one.lines()))
    raise SystemExit(0 if healthy else 1)


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
