import pytest

from broker.boundary.model import Format
from broker.boundary.render import render, undo
from broker.boundary.testing import a_plan


@pytest.mark.parametrize("rules_format", list(Format))
def test_every_format_has_a_text_and_its_undoing(rules_format: Format) -> None:
    text = render(a_plan(), rules_format)
    assert text == render(a_plan(), rules_format)
    assert "press-4" in text or "press-4-six" in text
    assert "sallyport_boundary" in undo(rules_format)
    assert all(line.strip() in text for line in undo(rules_format).splitlines() if line.startswith("-"))


def test_ipv6_stays_closed_also_where_nobody_speaks_it() -> None:
    text = render(a_plan(), Format.IP6TABLES)
    assert "-o plant1 -p tcp" in text
    assert "10.2.0." not in text.split("*raw")[1]
