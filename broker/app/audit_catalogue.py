"""The catalogue of audit events, as it stands in the classes: written into the documentation and for the console.

`python -m broker.app.audit_catalogue` writes both files of a checkout; `./dev catalogue` runs it.
"""

import importlib
import inspect
import json
import pkgutil
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Final, get_args, get_type_hints

import broker
from broker.audit.model import AuditEvent, catalogue, classified

DOCUMENT: Final = Path("docs/audit-events.md")
TYPESCRIPT: Final = Path("web/src/app/generated/audit.ts")
_COMMAND: Final = "./dev catalogue"


@dataclass(frozen=True)
class EventField:
    """One field of an event: its kind in words, and how freely it may be shown."""

    name: str
    kind: str
    sensitivity: str
    came_later: bool


@dataclass(frozen=True)
class Entry:
    """One event of the catalogue."""

    code: str
    meaning: str
    fields: tuple[EventField, ...]


def entries() -> list[Entry]:
    """Every event of the product, by code. Raises TypeError for a field without a mark, or a secret one."""
    for module in pkgutil.walk_packages(broker.__path__, "broker."):
        if module.name.rpartition(".")[2].endswith("events"):
            importlib.import_module(module.name)
    ours = [one for one in catalogue().values() if one.__module__.startswith("broker.")]
    return sorted((_entry(one) for one in ours), key=lambda entry: entry.code)


def _entry(event_class: type[AuditEvent]) -> Entry:
    marks, hints = classified(event_class), get_type_hints(event_class)
    own = [field for field in fields(event_class) if field.name not in {"actor", "subject"}]
    described = tuple(
        EventField(
            field.name, _kind(hints[field.name]), marks[field.name].value, came_later=field.default is not MISSING
        )
        for field in own
    )
    return Entry(event_class.code, " ".join(inspect.getdoc(event_class).split()), described)  # type: ignore[union-attr]


def _kind(hint: object) -> str:
    names = {str: "text", int: "number", bool: "yes or no", type(None): "nothing"}
    return " or ".join(names[part] for part in (get_args(hint) or (hint,)))


def document(found: list[Entry]) -> str:
    """The page for people who read or collect the trail."""
    lines = [
        "# Audit events",
        "",
        f"Written by `{_COMMAND}` from the event classes; do not edit.",
        "",
        "Every record has a number without gaps, a moment, a code, an actor and a subject, beside the fields below.",
        "*Public* fields may be read by whoever may read the trail; *sensitive* ones (addresses, accounts, reasons)",
        "are left out of exports for people without that right. No field is ever *secret*: passwords, codes, tokens",
        "and keys do not enter the trail. A field that came later is absent in older records and has its default.",
        "",
        f"{len(found)} events.",
        "",
    ]
    for entry in found:
        lines += [f"## `{entry.code}`", "", entry.meaning, ""]
        if entry.fields:
            lines += ["| field | kind | sensitivity |", "|---|---|---|"]
            lines += [f"| `{one.name}` | {one.kind}{_later(one)} | {one.sensitivity} |" for one in entry.fields]
            lines.append("")
    return "\n".join(lines)


def _later(field: EventField) -> str:
    return "; came later" if field.came_later else ""


def typescript(found: list[Entry]) -> str:
    """The same for the console: codes as a type, and the sensitivity of each field."""
    table = {entry.code: {one.name: one.sensitivity for one in entry.fields} for entry in found}
    return (
        f"// Written by {_COMMAND} from the event classes; do not edit.\n"
        "export const AUDIT_EVENTS = "
        + json.dumps(table, indent=2, ensure_ascii=False)
        + " as const\n\nexport type AuditCode = keyof typeof AUDIT_EVENTS\n"
    )


def files() -> dict[Path, str]:
    """What each generated file holds, by its path in a checkout."""
    found = entries()
    return {DOCUMENT: document(found), TYPESCRIPT: typescript(found)}


def main() -> None:
    """Write the files of this checkout."""
    root = Path(__file__).parents[2]
    for path, content in files().items():
        (root / path).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
