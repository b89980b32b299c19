import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.boundary.canonical import Limit, Rule, Verdict, names
from broker.boundary.exported import Hook, Place
from broker.boundary.parse_nftables import parse_nftables
from broker.boundary.testing import a_plan, exported_nftables, nft_text
from broker.kernel.errors import Invalid

GOLDEN = Path(__file__).parents[3] / "golden"
PLACE = Place("inet", "t", "c")
PORT_22 = {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}


def meanings(*statements: dict[str, Any]) -> list[Rule]:
    rule = {"rule": {"family": "inet", "table": "t", "chain": "c", "handle": 7, "expr": list(statements)}}
    export = parse_nftables(json.dumps({"nftables": [{"metainfo": {}}, rule]}))
    return [loaded.rule for loaded in export.chains[PLACE].rules]


def test_what_the_builders_export_is_what_nft_exported() -> None:
    captured = json.loads((GOLDEN / "boundary_nftables_export.json").read_text(encoding="utf-8"))

    def without_handles(document: dict[str, Any]) -> list[Any]:
        return [
            {kind: {key: value for key, value in entry.items() if key != "handle"} for kind, entry in wrapped.items()}
            for wrapped in document["nftables"]
        ]

    assert without_handles(exported_nftables(a_plan())) == without_handles(captured)


def test_chains_hooks_handles_and_comments_are_read() -> None:
    export = parse_nftables((GOLDEN / "boundary_nftables_export.json").read_text(encoding="utf-8"))
    chain = export.chains[Place("inet", "sallyport_boundary", "forward")]
    assert chain.hook == Hook("filter", "forward", 0, "accept")
    assert "handle" in chain.rules[0].text
    assert '"broker to' in chain.rules[0].text
    assert not any(loaded.rule.unread for one in export.chains.values() for loaded in one.rules)


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"nftables": 1}', '{"nftables": [{}]}', "[" * 5000])
def test_what_is_no_whole_export_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_nftables(text)
    assert refusal.value.code == "boundary.unreadable_export"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["rule", "chain", "expr", "match", "op", "left", "right", "family", "table"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_refused(value: object) -> None:
    with contextlib.suppress(Invalid):
        parse_nftables(json.dumps({"nftables": [{"metainfo": {}}, value]}))


def test_a_verdict_map_means_one_rule_for_each_of_its_elements() -> None:
    elements = {"set": [["established", {"accept": None}], ["invalid", {"drop": None}]]}
    found = meanings({"vmap": {"key": {"ct": {"key": "state"}}, "data": elements}})
    assert [(rule.states, rule.action.verdict) for rule in found] == [
        (names("established"), Verdict.ACCEPT),
        (names("invalid"), Verdict.DROP),
    ]
    (unknown,) = meanings({"vmap": {"key": {"ct": {"key": "state"}}, "data": "@moving"}})
    assert unknown.action.verdict is Verdict.UNKNOWN


def test_a_limit_belongs_to_what_follows_it() -> None:
    limit = {"limit": {"rate": 3, "burst": 5, "per": "minute"}}
    log, drop = meanings(limit, {"log": {"prefix": "x"}}, {"drop": None})
    assert log.action.limit == Limit(3, "m", 5)
    assert drop.action.limit is None
    (limited,) = meanings(limit, {"accept": None})
    assert limited.action.limit == Limit(3, "m", 5)
    (left_over,) = meanings(limit)
    assert left_over.unread


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ({"reject": {"type": "tcp reset"}}, Verdict.DROP),
        ({"goto": {"target": "x"}}, Verdict.CALL),
        ({"queue": {"num": 1}}, Verdict.UNKNOWN),
        ({"fwd": {"dev": "plant0"}}, Verdict.UNKNOWN),
        ({"dnat": {"addr": "10.2.0.5", "port": 22}}, Verdict.REDIRECT),
        ({"xt": {"type": "target", "name": "LOG"}}, Verdict.GO_ON),
        ({"xt": {"type": "target", "name": "NFQUEUE"}}, Verdict.UNKNOWN),
        ({"masquerade": None}, Verdict.GO_ON),
    ],
)
def test_verdicts_are_read(statement: dict[str, Any], verdict: Verdict) -> None:
    (rule,) = meanings(PORT_22, {"counter": {"packets": 1, "bytes": 1}}, statement)
    assert rule.action.verdict is verdict
    assert not rule.unread


def test_a_statement_nobody_knows_is_kept_as_unread() -> None:
    (rule,) = meanings({"xt": {"type": "match", "name": "conntrack"}}, {"new invention": 1}, {"accept": None})
    assert len(rule.unread) == 2
    assert rule.action.verdict is Verdict.ACCEPT


def test_flags_of_a_table_are_told_whatever_nft_calls_them() -> None:
    document = exported_nftables(a_plan())
    document["nftables"][1]["table"]["flags"] = "garbage"
    assert parse_nftables(nft_text(document)).flagged == {("inet", "sallyport_boundary")}
