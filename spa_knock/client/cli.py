"""`sally`: the vendor engineer's commands. Data goes to standard output, talk and errors to standard error."""

import io
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, timedelta
from pathlib import Path
from typing import Annotated

import typer

from spa_knock.client import doctor as doctor_
from spa_knock.client import ssh_config as ssh_config_
from spa_knock.client import talk
from spa_knock.client.answers import padded, printable, read_duration, read_moment
from spa_knock.client.enrolment import client_version
from spa_knock.client.enrolment import enroll as enroll_
from spa_knock.client.errors import ClientError, Exit
from spa_knock.client.fields import get_text
from spa_knock.client.home import Home, write_private
from spa_knock.client.invite import InviteError, parse_invite
from spa_knock.client.keys import is_key_locked, key_content, load_device_key
from spa_knock.client.language import term, tr
from spa_knock.client.launch import control_link, ensure_agent, is_running, stop_agent
from spa_knock.client.places import home_dir
from spa_knock.client.receipt_commands import receipts_app
from spa_knock.client.summary import (
    exit_of_request,
    request_lines,
    request_table,
    status_data,
    status_lines,
    target_lines,
)
from spa_knock.client.waiting import until_decided

app = typer.Typer(
    help=tr("Remote maintenance through a Sallyport site."),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(receipts_app, name="receipts", help=tr("What this computer and the plant confirmed of sessions."))

Json = Annotated[
    bool, typer.Option("--json", help=tr("Print JSON on standard output; errors as JSON on standard error."))
]


@app.command()
def enroll(
    invite: Annotated[str, typer.Argument(help=tr("Invite: a file, the pasted text, or - for standard input."))],
    *,
    name: Annotated[str, typer.Option(help=tr("This computer's name as the plant will see it."))] = "",
    replace: Annotated[bool, typer.Option("--replace", help=tr("Give up the device enrolled here before."))] = False,
    passphrase: Annotated[bool, typer.Option("--passphrase", help=tr("Lock the device key; asks twice."))] = False,
    passphrase_file: Annotated[
        str, typer.Option(help=tr("Lock the device key with the passphrase in this file."))
    ] = "",
    as_json: Json = False,
) -> None:
    """Enrol this computer with an invite from the plant."""
    try:
        parsed = parse_invite(talk.invite_text(invite))
    except InviteError as error:
        raise ClientError(
            "usage", tr("This invite cannot be used"), str(error), tr("Copy it again, all of it")
        ) from None
    lock = talk.new_passphrase(passphrase_file) if passphrase or passphrase_file else None
    talk.say(tr("Knocking at {name} ...", name=parsed.site.name), quiet=as_json)
    device_name = (name or platform.node() or "computer")[:80]
    done = enroll_(_home(), parsed, device_name, replace=replace, passphrase=lock)
    talk.show(
        {
            "site": done.site_name,
            "device_id": done.device_id,
            "device_name": done.device_name,
            "short_code": done.short_code,
            "state": done.state,
        },
        lambda _: [
            tr(
                "Enrolled at {site_name} as {device_name} ({device_id}): {state}.",
                site_name=printable(done.site_name),
                device_name=done.device_name,
                device_id=done.device_id,
                state=term(done.state),
            ),
            tr("Short code: {short_code}", short_code=printable(done.short_code)),
            tr("Read it to the plant's administrator by telephone; once the device is trusted, run: sally login"),
            tr("New account? Run: sally activate"),
        ],
        as_json=as_json,
    )


@app.command()
def activate(
    *,
    token_file: Annotated[str, typer.Option(help=tr("File with the activation token; - is standard input."))] = "",
    password_file: Annotated[str, typer.Option(help=tr("File with the new password; - is standard input."))] = "",
    passphrase_file: Annotated[
        str, typer.Option(help=tr("File with the device key's passphrase, if it has one."))
    ] = "",
    as_json: Json = False,
) -> None:
    """Activate a new account: choose a password and get the secret for an authenticator app."""
    home = _home()
    home.enrolment()
    token = talk.secret(token_file, tr("activation token"))
    password = talk.secret(password_file, tr("new password"))
    if not password_file and talk.prompt(tr("the same password again")) != password:
        raise ClientError("usage", tr("Nothing was changed"), tr("the two passwords differ"), tr("Try again"))
    _ready(home, passphrase_file)
    body = talk.call_site(home, "POST", "/activation", {"token": token, "password": password})
    talk.show(
        body,
        lambda body: [
            tr("The account is active. Enter this secret in your authenticator app; it is shown this once:"),
            f"  {printable(get_text(body, 'totp_secret'))}",
            f"  {printable(get_text(body, 'totp_uri'))}",
            tr("Then run: sally login"),
        ],
        as_json=as_json,
    )


@app.command()
def login(
    *,
    username: Annotated[str, typer.Option(help=tr("User name; default: the last one, else asked."))] = "",
    totp: Annotated[str, typer.Option(help=tr("Six-digit code of the authenticator; default: asked."))] = "",
    totp_file: Annotated[str, typer.Option(help=tr("File with the six-digit code; - is standard input."))] = "",
    password_file: Annotated[str, typer.Option(help=tr("File with the password; - is standard input."))] = "",
    passphrase_file: Annotated[
        str, typer.Option(help=tr("File with the device key's passphrase, if it has one."))
    ] = "",
    as_json: Json = False,
) -> None:
    """Sign in. Starts the agent, which keeps the session in memory."""
    home = _home()
    enrolment = home.enrolment()
    _ready(home, passphrase_file)
    name = username or enrolment.username or talk.prompt(tr("user name"), hidden=False)
    password = talk.secret(password_file, tr("password"))
    code = "".join((totp or talk.secret(totp_file, tr("six-digit code"), hidden=False)).split())
    talk.say(tr("Knocking at {name} ...", name=enrolment.site.name), quiet=as_json)
    with control_link(home) as agent:
        answer = agent.ask("login", username=name, password=password, totp=code)
    person = answer.get("person")
    shown_name = printable(str(person.get("display_name"))) if isinstance(person, dict) else name
    talk.show(
        {"person": person, "site": answer.get("site"), "clock_offset_ms": answer.get("clock_offset_ms")},
        lambda _: [
            tr("Signed in to {name} as {shown_name}.", name=printable(enrolment.site.name), shown_name=shown_name)
        ],
        as_json=as_json,
    )
    if not ssh_config_.is_installed(home, ssh_config_.user_config_path()):
        talk.say(tr("To use plain ssh, run once: sally ssh-config --install"), quiet=as_json)


@app.command()
def renew(*, as_json: Json = False) -> None:
    """Renew this device's certificate and knock key now. It also happens by itself when half of their life is over."""
    home = _home()
    home.enrolment()
    with control_link(home) as agent:
        until = agent.ask("renew").get("not_after")
    talk.show(
        {"not_after": until},
        lambda _: [
            tr("Renewed; the new certificate lasts until {until} and is used from the next sign-in on.", until=until)
        ],
        as_json=as_json,
    )


@app.command("passphrase")
def change_passphrase(
    *,
    old_file: Annotated[str, typer.Option(help=tr("File with the passphrase until now, if there is one."))] = "",
    new_file: Annotated[str, typer.Option(help=tr("File with the new passphrase; default: asked twice."))] = "",
    remove: Annotated[bool, typer.Option("--remove", help=tr("Leave the key unlocked on the disk."))] = False,
    as_json: Json = False,
) -> None:
    """Lock the device key with a passphrase, change it, or take it away. Signs out."""
    home = _home()
    home.enrolment()
    old = talk.secret(old_file, tr("passphrase")) if is_key_locked(home.key_path) else None
    key = load_device_key(home.key_path, old)
    content = key_content(key, None if remove else talk.new_passphrase(new_file))
    stop_agent(home)
    write_private(home.key_path, content)
    words = tr("The device key lies on the disk without a passphrase.") if remove else tr("The device key is locked.")
    talk.show({"locked": not remove}, lambda _: [words], as_json=as_json)


@app.command()
def logout(*, as_json: Json = False) -> None:
    """Sign out: forget token, keys and certificates, and end the agent. Open ssh sessions go on."""
    home = _home()
    signed_in = False
    if is_running(home):
        with control_link(home) as agent:
            signed_in = agent.ask("logout").get("was_signed_in") is True
        stop_agent(home)
    words = tr("Signed out.") if signed_in else tr("Nobody was signed in.")
    talk.show({"was_signed_in": signed_in}, lambda _: [words], as_json=as_json)


@app.command()
def status(*, as_json: Json = False) -> None:
    """Show the site, this device, who is signed in and what is open."""
    home = _home()
    enrolment = home.enrolment()
    agent: Mapping[str, object] = {}
    if is_running(home):
        with control_link(home) as link:
            agent = link.ask("status")
    installed = ssh_config_.is_installed(home, ssh_config_.user_config_path())
    talk.show(status_data(enrolment, agent, ssh_installed=installed), status_lines, as_json=as_json)


@app.command()
def targets(*, as_json: Json = False) -> None:
    """List the targets you may ask for."""
    body = talk.call_site(_home(), "GET", "/targets")
    talk.show(body, target_lines, as_json=as_json)


@app.command()
def request(
    target: Annotated[str, typer.Argument(help=tr("Name of the target."))],
    *,
    reason: Annotated[str, typer.Option(help=tr("Why access is needed."))],
    work_order: Annotated[str, typer.Option(help=tr("Number of the work order or ticket."))],
    length: Annotated[str, typer.Option("--for", help=tr("How long, like 90m, 2h or 1h30m."))],
    start: Annotated[str, typer.Option("--from", help=tr("From when (RFC 3339 with zone); default: at once."))] = "",
    account: Annotated[str, typer.Option(help=tr("Account on the target; default: the target's own."))] = "",
    wait: Annotated[bool, typer.Option("--wait", help=tr("Wait until the plant has decided."))] = False,
    as_json: Json = False,
) -> None:
    """Ask for access to a target."""
    wish: dict[str, object] = {
        "target": target,
        "reason": reason,
        "work_order": work_order,
        "duration_seconds": int(read_duration(length) / timedelta(seconds=1)),
    }
    if start:
        wish["starts_at"] = read_moment(start).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if account:
        wish["account"] = account
    home = _home()
    asked: Mapping[str, object] = talk.call_site(home, "POST", "/access-requests", wish)
    identity = str(asked.get("id"))
    talk.say(tr("Request {identity} is with the plant.", identity=printable(identity)), quiet=as_json)
    if wait:
        asked = until_decided(home, identity, quiet=as_json)
    talk.show(asked, request_lines, as_json=as_json)
    raise typer.Exit(exit_of_request(asked) if wait else Exit.OK)


@app.command()
def requests(*, as_json: Json = False) -> None:
    """List your access requests, newest first."""
    body = talk.call_site(_home(), "GET", "/access-requests")
    talk.show(body, request_table, as_json=as_json)


@app.command("ssh-config")
def ssh_config(
    *,
    install: Annotated[
        bool, typer.Option("--install", help=tr("Add our Include as the first line of your file."))
    ] = False,
    show: Annotated[bool, typer.Option("--print", help=tr("Print the settings for ssh."))] = False,
    remove: Annotated[bool, typer.Option("--remove", help=tr("Take the Include out again."))] = False,
    file: Annotated[Path | None, typer.Option(help=tr("Your ssh configuration; default: ~/.ssh/config."))] = None,
    as_json: Json = False,
) -> None:
    """Let plain ssh, scp and sftp reach NAME.<the site's domain>."""
    home = _home()
    if [install, show, remove].count(True) != 1:
        raise ClientError(
            "usage", tr("Nothing was done"), tr("exactly one of --install, --print and --remove is needed")
        )
    path = file.absolute() if file else ssh_config_.user_config_path()
    if remove:
        change = ssh_config_.remove(home, path)
        words = tr("Removed from {path}.", path=path) if change.changed else tr("{path} did not know us.", path=path)
    else:
        site = home.enrolment().site
        if show:
            text = ssh_config_.render_config(site, home, ssh_config_.helper_command())
            talk.show({"config": text}, lambda _: [text.rstrip()], as_json=as_json)
            return
        ssh_config_.write_ssh_files(home, site)
        change = ssh_config_.install(home, path)
        words = tr("Set up in {path}.", path=path) if change.changed else tr("{path} was already set up.", path=path)
        words += " " + tr("Connect with: ssh TARGET.{ssh_domain}", ssh_domain=site.ssh_domain)
    backup = [tr("The file as it was: {path}", path=change.backup)] if change.backup else []
    talk.show(ssh_config_.as_mapping(change), lambda _: [words, *backup], as_json=as_json)


@app.command()
def doctor(
    *,
    offline: Annotated[bool, typer.Option("--offline", help=tr("Do not knock at the site."))] = False,
    as_json: Json = False,
) -> None:
    """Check this computer and the way to the site."""
    findings = doctor_.examine(_home(), ssh_config_.user_config_path(), reach=not offline)
    worst = [one for one in findings if one.state is doctor_.State.FAILED]
    talk.show(
        {
            "healthy": not worst,
            "findings": [
                {"name": one.name, "state": one.state.value, "found": one.found, "do": one.do} for one in findings
            ],
        },
        lambda _: [
            line
            for one in findings
            for line in [
                f"{padded(term(one.state.value), 8)} {padded(term(one.name), 12)} {one.found}",
                *([" " * 22 + tr("Do: {do}", do=one.do)] * bool(one.do)),
            ]
        ],
        as_json=as_json,
    )
    if worst:
        raise typer.Exit(Exit.UNREACHABLE if worst[0].name == "knock" else Exit.FAILED)


@app.command()
def version(*, as_json: Json = False) -> None:
    """Print the client's version."""
    found = {"version": client_version(), "python": platform.python_version(), "platform": platform.platform()}
    talk.show(found, lambda _: [f"sally {found['version']}"], as_json=as_json)


def _ready(home: Home, passphrase_file: str) -> None:
    """Starts the agent, and unlocks the device key in it if that needs a passphrase."""
    ensure_agent(home)
    with control_link(home) as agent:
        if agent.ask("status").get("locked") is True:
            agent.ask("unlock", passphrase=talk.secret(passphrase_file, tr("passphrase of the device key")))


def _home() -> Home:
    return Home(home_dir())


def main() -> None:
    """The `sally` program. Ends the process with the exit code that belongs to what happened."""
    for command in (*app.registered_commands, *receipts_app.registered_commands):
        if command.callback is not None:
            command.help = tr(command.callback.__doc__ or "")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets another in its place, and no traceback.
            stream.reconfigure(errors="replace")
    try:
        app()
    except ClientError as error:
        talk.complain(error, as_json="--json" in sys.argv)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
