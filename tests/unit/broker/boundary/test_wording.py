from hypothesis import given
from hypothesis import strategies as st

from broker.boundary.model import OtherTraffic
from broker.boundary.testing import a_plan
from broker.boundary.wording import heading, quotable


@given(st.text(), st.integers(1, 40))
def test_quotable_text_ends_no_quotes_and_keeps_to_its_bytes(text: str, longest: int) -> None:
    safe = quotable(text.encode(errors="ignore").decode(), longest)
    assert '"' not in safe
    assert "\\" not in safe
    assert len(safe.encode()) <= longest


def test_the_heading_names_everybody_and_how_to_load_and_undo() -> None:
    lines = heading(a_plan(), "load it", ["undo it", "and that"])
    text = "\n".join(lines)
    assert all(line.startswith("#") for line in lines)
    for word in ("10.1.0.2, fd00:1::2 on dmz0", "冲压车间 A", "Paint shop", "office on off0", "load it", "undo it"):
        assert word in text


def test_the_heading_says_what_the_administrator_must_still_allow() -> None:
    assert "own rules must allow" in "\n".join(heading(a_plan(), "", []))
    assert "own rules must allow" not in "\n".join(heading(a_plan(other_traffic=OtherTraffic.DROP), "", []))
