"""What `sally` shows of the site's and the agent's answers (pure)."""

from collections.abc import Mapping, Sequence

from spa_knock.client.answers import printable, table
from spa_knock.client.errors import Exit
from spa_knock.client.fields import as_object, get_objects, get_optional_text, get_text, get_texts
from spa_knock.client.grants import moment, shown
from spa_knock.client.home import Enrolment

Data = Mapping[str, object]

_EXITS: Mapping[str, Exit] = {"approved": Exit.OK, "denied": Exit.DENIED, "lapsed": Exit.OUTSIDE_WINDOW}


def status_data(enrolment: Enrolment, agent: Data, *, ssh_installed: bool) -> dict[str, object]:
    """`agent` is its answer to `status`; empty when it does not run."""
    signed_in = agent.get("signed_in") is True
    return {
        "site": {"name": enrolment.site.name, "host": enrolment.site.vendor_face.host},
        "device": {"id": enrolment.device_id, "name": enrolment.device_name, "key_storage": "file"},
        "short_code": enrolment.short_code,
        "agent_running": bool(agent),
        "signed_in": signed_in,
        "person": agent.get("person") if signed_in else None,
        "idle_seconds_left": agent.get("idle_seconds_left"),
        "clock_offset_ms": agent.get("clock_offset_ms"),
        "certificates": agent.get("certificates", []) if signed_in else [],
        "ssh_config_installed": ssh_installed,
    }


def status_lines(data: Data) -> list[str]:
    site, device = as_object(data["site"]), as_object(data["device"])
    rows = [
        ("site", f"{site['name']} ({site['host']})"),
        ("device", f"{device['name']} ({device['id']}), key in a file"),
    ]
    if data["short_code"]:
        rows.append(("short code", f"{data['short_code']} (read it to the plant's administrator)"))
    if data["signed_in"]:
        person = as_object(data["person"], "person")
        minutes = int(str(data["idle_seconds_left"])) // 60
        rows.append(("signed in", f"{person['display_name']} ({person['username']}), idle end in {minutes} min"))
    else:
        rows.append(("signed in", "no (sally login)"))
    rows.append(("ssh", "set up" if data["ssh_config_installed"] else "not set up (sally ssh-config --install)"))
    for held in get_objects(data, "certificates"):
        until = shown(moment(get_text(held, "valid_before")))
        rows.append(("open", f"{get_text(held, 'target')}, certificate until {until}"))
    return [f"{name:<12}{printable(words)}" for name, words in rows]


def target_lines(body: Data) -> list[str]:
    rows = [
        [
            get_text(item, "name"),
            get_text(item, "protocol"),
            ", ".join(get_texts(item, "accounts")),
            get_optional_text(item, "description") or "",
        ]
        for item in get_objects(body, "items", most=5000)
    ]
    return table(["TARGET", "PROTOCOL", "ACCOUNTS", "DESCRIPTION"], rows) if rows else ["No targets."]


def request_table(body: Data) -> list[str]:
    rows = [_request_row(item) for item in get_objects(body, "items", most=5000)]
    heads = ["REQUEST", "TARGET", "STATE", "FROM", "UNTIL", "WORK ORDER", "ANSWER"]
    return table(heads, rows) if rows else ["No requests."]


def request_lines(asked: Data) -> list[str]:
    """One request, and what its state means for the engineer."""
    identity, target, state, begins, ends, _, answer = _request_row(asked)
    match state:
        case "submitted":
            words = "waiting for approval (see: sally requests)"
        case "approved":
            words = f"approved, from {begins} until {ends}"
        case "denied":
            words = f"denied: {answer or 'no reason was given'}"
        case _:
            words = state
    return [printable(f"{identity} for {target}: {words}")]


def exit_of_request(asked: Data) -> Exit:
    """How `request --wait` ends."""
    return _EXITS.get(str(asked.get("state")), Exit.FAILED)


def _request_row(item: Data) -> Sequence[str]:
    return [
        get_text(item, "id"),
        get_text(item, "target"),
        get_text(item, "state"),
        shown(moment(get_text(item, "starts_at"))),
        shown(moment(get_text(item, "ends_at"))),
        get_text(item, "work_order"),
        get_optional_text(item, "decision_reason") or "",
    ]
