import contextlib
import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.boundary.canonical import Action, Choice, Limit, Rule, Verdict, names
from broker.boundary.exported import Hook, Place
from broker.boundary.model import Format
from broker.boundary.parse_iptables import parse_iptables
from broker.boundary.testing import a_plan, exported_iptables
from broker.kernel.errors import Invalid

GOLDEN = Path(__file__).parents[3] / "golden"
FORWARD = Place("ip", "filter", "FORWARD")


def a_rule(options: str) -> Rule:
    text = f"*filter\n:FORWARD DROP [0:0]\n:mine - [0:0]\n[3:180] -A FORWARD {options}\nCOMMIT\n"
    (loaded,) = parse_iptables(text).chains[FORWARD].rules
    assert options in loaded.text
    return loaded.rule


@pytest.mark.parametrize("rules_format", [Format.IPTABLES, Format.IP6TABLES])
def test_what_the_builders_export_means_what_iptables_save_exported(rules_format: Format) -> None:
    captured = (GOLDEN / f"boundary_{rules_format.value}_export.txt").read_text(encoding="utf-8")
    built = "\n".join(exported_iptables(a_plan(), rules_format))
    one, other = parse_iptables(captured, rules_format), parse_iptables(built, rules_format)
    assert {place: [loaded.rule for loaded in chain.rules] for place, chain in one.chains.items()} == {
        place: [loaded.rule for loaded in chain.rules] for place, chain in other.chains.items()
    }
    assert not any(loaded.rule.unread for chain in one.chains.values() for loaded in chain.rules)


def test_every_condition_of_ours_is_read() -> None:
    rule = a_rule(
        "-s 10.1.0.2/32 -d 10.2.0.0/255.255.0.0 ! -i dmz0 -o plant0 -p tcp -m multiport --dports 22:23,3389 "
        '-m conntrack --ctstate NEW,ESTABLISHED --ctdir REPLY -m comment --comment "-j ACCEPT \\" x" -j mine'
    )
    assert rule == Rule(
        Action(Verdict.CALL, text="mine"),
        inward=Choice(frozenset({"dmz0"}), negated=True),
        outward=names("plant0"),
        source=Choice(frozenset({ipaddress.ip_network("10.1.0.2")})),
        destination=Choice(frozenset({ipaddress.ip_network("10.2.0.0/16")})),
        transport=names("tcp"),
        ports=Choice(frozenset({(22, 23), (3389, 3389)})),
        states=names("new", "established"),
        direction="reply",
    )


@pytest.mark.parametrize(
    ("options", "unread"),
    [
        ("-p tcp -m tcp --sport 22 -j ACCEPT", ("--sport 22",)),
        ("-m set ! --match-set friends src -j ACCEPT", ("! --match-set friends src",)),
        ("-p tcp -m tcp --tcp-flags SYN,ACK SYN -j ACCEPT", ("--tcp-flags SYN,ACK SYN",)),
        ("-f -j ACCEPT", ("-f",)),
        ("-s gate.example -j ACCEPT", ("-s gate.example",)),
        ("-m conntrack ! --ctdir REPLY -j ACCEPT", ("! --ctdir REPLY",)),
        ("-p tcp -m tcp --dport ssh -j ACCEPT", ("--dport ssh",)),
    ],
)
def test_what_is_not_understood_is_kept_as_unread(options: str, unread: tuple[str, ...]) -> None:
    rule = a_rule(options)
    assert rule.unread == unread
    assert rule.action.verdict is Verdict.ACCEPT


@pytest.mark.parametrize(
    ("options", "action"),
    [
        ("-j DROP", Action(Verdict.DROP)),
        ("-j REJECT --reject-with icmp-port-unreachable", Action(Verdict.DROP, text="with an answer")),
        ("-j MARK --set-xmark 0x1/0xff", Action(Verdict.GO_ON, text="MARK")),
        ("-j NFQUEUE --queue-num 1", Action(Verdict.UNKNOWN, text="NFQUEUE")),
        ("-g mine", Action(Verdict.CALL, text="mine")),
        ("", Action(Verdict.GO_ON)),
        (
            '-m limit --limit 10/sec --limit-burst 20 -j LOG --log-prefix "x y " --log-level 6',
            Action(Verdict.LOG, text="x y ", limit=Limit(10, "s", 20)),
        ),
    ],
)
def test_targets_are_read(options: str, action: Action) -> None:
    assert a_rule(options).action == action


@pytest.mark.parametrize(
    ("options", "addresses", "ports"),
    [
        ("-j DNAT --to-destination 10.2.0.5:22", ["10.2.0.5/32"], ((22, 22),)),
        ("-j DNAT --to-destination 10.2.0.5", ["10.2.0.5/32"], ()),
        ("-j DNAT --to-destination 10.2.0.4-10.2.0.5:22-23", ["10.2.0.4/31"], ((22, 23),)),
        ("-j DNAT --to-destination [fd00:2::5]:22", ["fd00:2::5/128"], ((22, 22),)),
        ("-j DNAT --to-destination fd00:2::5", ["fd00:2::5/128"], ()),
        ("-j REDIRECT --to-ports 22", [], ((22, 22),)),
    ],
)
def test_redirects_are_read(options: str, addresses: list[str], ports: tuple[tuple[int, int], ...]) -> None:
    action = a_rule(f"-p tcp {options}").action
    assert action.verdict is Verdict.REDIRECT
    assert [str(network) for network in action.to_addresses] == addresses
    assert action.to_ports == ports


def test_built_in_chains_have_hooks_and_policies() -> None:
    export = parse_iptables("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", Format.IP6TABLES)
    assert export.chains[Place("ip6", "filter", "FORWARD")].hook == Hook("filter", "forward", 0, "drop")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "-A FORWARD -j ACCEPT\n",
        "*filter\n:FORWARD DROP [0:0]\n",
        "*filter\n-A FORWARD -j ACCEPT\nCOMMIT\n",
        '*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m comment --comment "x\nCOMMIT\n',
        "*filter\n:FORWARD DROP [0:0]\n-I FORWARD -j ACCEPT\nCOMMIT\n",
        "table inet filter {\n}\n",
    ],
)
def test_what_is_no_whole_export_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_iptables(text)
    assert refusal.value.code == "boundary.unreadable_export"


@given(st.text(st.sampled_from("*:-![]\"' \nACFORWDjsdip0123456789./")))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Invalid):
        parse_iptables(f"*filter\n:FORWARD DROP [0:0]\n-A FORWARD {text}\nCOMMIT\n")
