import re
from pathlib import Path

import pytest

from broker.app import audit_catalogue
from broker.app.audit_catalogue import Entry

ROOT = Path(__file__).parents[4]
ENTRIES = audit_catalogue.entries()


@pytest.mark.parametrize("path", list(audit_catalogue.files()), ids=str)
def test_what_is_written_down_is_what_the_classes_say(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == audit_catalogue.files()[path], "run: ./dev catalogue"


def test_every_event_class_of_the_source_is_in_the_catalogue() -> None:
    in_source = {
        code
        for path in (ROOT / "broker").rglob("*.py")
        for code in re.findall(r'code: ClassVar\[str\] = "([^"]+)"', path.read_text(encoding="utf-8"))
    }
    assert {entry.code for entry in ENTRIES} == in_source
    assert len(in_source) > 60


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_an_event_has_a_code_a_meaning_and_a_mark_on_every_field(entry: Entry) -> None:
    assert re.fullmatch(r"[a-z_]+(\.[a-z_]+){1,2}", entry.code)
    assert len(entry.meaning.split()) >= 3
    assert all(field.sensitivity in {"public", "sensitive"} for field in entry.fields)


def test_addresses_are_sensitive() -> None:
    for entry in ENTRIES:
        for field in entry.fields:
            if field.name in {"source", "source_before", "address", "address_before"}:
                assert field.sensitivity == "sensitive", (entry.code, field.name)
