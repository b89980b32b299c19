"""What `sally` shows of the site's and the agent's answers (pure)."""

from collections.abc import Mapping, Sequence

from spa_knock.client.answers import padded, printable, table
from spa_knock.client.errors import Exit
from spa_knock.client.fields import as_object, get_objects, get_optional_text, get_text, get_texts
from spa_knock.client.grants import moment, shown
from spa_knock.client.home import Enrolment
from spa_knock.client.language import term, tr

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
        "receipts": agent.get("receipts", {"waiting": False, "trouble": ""}),
    }


def status_lines(data: Data) -> list[str]:
    site, device = as_object(data["site"]), as_object(data["device"])
    rows = [
        ("site", f"{site['name']} ({site['host']})"),
        ("device", tr("{name} ({id}), key in a file", name=device["name"], id=device["id"])),
    ]
    if data["short_code"]:
        code = tr("{code} (read it to the plant's administrator)", code=data["short_code"])
        rows.append(("short code", code))
    if data["signed_in"]:
        person = as_object(data["person"], "person")
        minutes = int(str(data["idle_seconds_left"])) // 60
        who = f"{person['display_name']} ({person['username']})"
        rows.append(("signed in", tr("{who}, idle end in {minutes} min", who=who, minutes=minutes)))
    else:
        rows.append(("signed in", tr("no (sally login)")))
    installed = data["ssh_config_installed"]
    rows.append(("ssh", tr("set up") if installed else tr("not set up (sally ssh-config --install)")))
    if trouble := as_object(data["receipts"], "receipts").get("trouble"):
        rows.append(("receipts", str(trouble)))
    for held in get_objects(data, "certificates"):
        until = shown(moment(get_text(held, "valid_before")))
        target = get_text(held, "target")
        rows.append(("open", tr("{target}, certificate until {until}", target=target, until=until)))
    return [f"{padded(term(name), 12)}{printable(words)}" for name, words in rows]


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
    heads = [tr("TARGET"), tr("PROTOCOL"), tr("ACCOUNTS"), tr("DESCRIPTION")]
    return table(heads, rows) if rows else [tr("No targets.")]


def request_table(body: Data) -> list[str]:
    rows = []
    for item in get_objects(body, "items", most=5000):
        identity, target, state, *rest = _request_row(item)
        rows.append([identity, target, term(state), *rest])
    heads = [tr("REQUEST"), tr("TARGET"), tr("STATE"), tr("FROM"), tr("UNTIL"), tr("WORK ORDER"), tr("ANSWER")]
    return table(heads, rows) if rows else [tr("No requests.")]


def request_lines(asked: Data) -> list[str]:
    """One request, and what its state means for the engineer."""
    identity, target, state, begins, ends, _, answer = _request_row(asked)
    match state:
        case "submitted":
            words = tr("waiting for approval (see: sally requests)")
        case "approved":
            words = tr("approved, from {begins} until {ends}", begins=begins, ends=ends)
        case "denied":
            words = tr("denied: {answer}", answer=answer or tr("no reason was given"))
        case _:
            words = term(state)
    return [printable(tr("{identity} for {target}: {words}", identity=identity, target=target, words=words))]


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
