from broker.app.finding import Finding, State


def test_a_finding_says_what_to_do_only_when_there_is_something_to_do() -> None:
    assert Finding("clock", State.OK, "right").lines() == ["ok    clock            right"]
    assert Finding("clock", State.FAILED, "wrong", "Set it").lines()[1].strip() == "→ Set it"


def test_for_machines_a_finding_has_four_fields() -> None:
    told = Finding("clock", State.WARNING, "perhaps", "Look").as_json()
    assert told == {"name": "clock", "state": "warn", "found": "perhaps", "do": "Look"}
