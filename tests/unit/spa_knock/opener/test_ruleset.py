"""The rendered rule set: what must be in it and in which order; real packets are in tests/contract."""

from dataclasses import replace
from ipaddress import ip_address

from spa_knock.opener.config import Archive
from spa_knock.opener.ruleset import Counter, base_chains, render
from tests.unit.spa_knock.opener.testing import a_config

IP = (("ip", 4), ("ip6", 6))


def chain(name: str) -> list[str]:
    text = render(a_config())
    block = text.split(f"chain {name} {{\n")[1].split("\n  }")[0]
    return [line.strip() for line in block.splitlines()]


def test_rendering_is_stable_and_replaces_the_table_in_one_go() -> None:
    config = a_config()
    text = render(config)
    assert text == render(replace(config, knock_ports=tuple(reversed(config.knock_ports))))
    assert text.startswith("table inet sallyport { }\ndelete table inet sallyport\ntable inet sallyport {\n")
    assert text.count("{") == text.count("}")


def test_nothing_comes_in_or_through_unless_it_is_said() -> None:
    assert "policy drop" in chain("incoming")[0]
    assert chain("through") == ["type filter hook forward priority filter; policy drop;"]


def test_revoked_flows_are_stopped_before_established_ones_are_let_in_or_out() -> None:
    for name in ("incoming", "outgoing"):
        rules = chain(name)
        established = rules.index("ct state established accept")
        revoked = [number for number, rule in enumerate(rules) if "ct mark @revoked" in rule]
        assert revoked
        assert max(revoked) < established


def test_doors_open_only_to_listed_addresses_on_the_vendor_interface_and_only_to_a_first_packet() -> None:
    doors = [rule for rule in chain("incoming") if "@open" in rule]
    assert len(doors) == 2
    for rule in doors:
        assert rule.startswith('iifname { "out0" } tcp dport { 22, 443 } tcp flags & (fin | syn | rst | ack) == syn')
        assert "ct state new" in rule
    assert not any("443" in rule for rule in chain("incoming") if rule not in doors and "8443" not in rule)


def test_management_is_bound_to_its_interface_and_prefixes() -> None:
    rules = [rule for rule in chain("incoming") if "8443" in rule]
    assert rules == [
        'iifname "mgmt0" ip saddr 10.0.0.0/8 tcp dport { 8443 } accept',
        'iifname "mgmt0" ip6 saddr fd00::/8 tcp dport { 8443 } accept',
    ]


def test_our_own_processes_start_no_connection_but_the_gateways_leased_ones() -> None:
    rules = chain("outgoing")
    allowed = [rule for rule in rules if "skuid" in rule and rule.endswith("accept")]
    assert [rule.split("==")[0] for rule in allowed] == ["meta skuid 61186 tcp flags & (fin | syn | rst | ack) "] * 2
    assert rules[-1].startswith("meta skuid { 61184, 61185, 61186, 61187 } ")
    assert rules[-1].endswith(" drop")


def test_the_archive_reaches_its_one_endpoint_and_nothing_else_also_on_loopback() -> None:
    for address, family in (("10.20.0.50", "ip"), ("2001:db8::50", "ip6"), ("127.0.0.1", "ip")):
        config = replace(a_config(), archive=Archive(61188, ip_address(address), 9000))
        block = render(config).split("chain outgoing {\n")[1].split("\n  }")[0]
        rules = [line.strip() for line in block.splitlines()][1:]
        assert [rule for rule in rules if "61188" in rule and rule.endswith("accept")] == [
            f"meta skuid 61188 {family} daddr {address} tcp dport 9000 accept"
        ]
        assert rules[-1].startswith("meta skuid { 61184, 61185, 61186, 61187, 61188 } ")
        lonely = [number for number, rule in enumerate(rules) if rule.startswith('oifname "lo" ct state new')]
        assert all("61188" in rules[number] for number in lonely)
        assert lonely[0] > 0


def test_a_closed_port_is_never_told_of() -> None:
    assert "icmp type destination-unreachable drop" in chain("outgoing")
    assert "icmpv6 type destination-unreachable drop" in chain("outgoing")


def test_a_leased_way_ends_for_running_flows_too_before_established_ones_are_let_through() -> None:
    for name, end in (("incoming", "saddr . tcp sport"), ("outgoing", "daddr . tcp dport")):
        rules = chain(name)
        established = rules.index("ct state established accept")
        leased = [f"ct mark & 0x80000000 != 0 {family} {end} @egress{number} accept" for family, number in IP]
        ended = next(n for n, rule in enumerate(rules) if "egress_ended" in rule and "reject" in rule)
        assert max(rules.index(rule) for rule in leased) < ended < established


def test_the_host_says_nothing_of_itself_towards_vendors_but_neighbour_discovery() -> None:
    rules = chain("outgoing")
    established = rules.index("ct state established accept")
    quiet = [rule for rule in rules[:established] if rule.startswith('oifname { "out0" }')]
    assert [rule.split("}")[1].split()[0] for rule in quiet] == ["icmp", "icmpv6", "meta"]
    assert "{ echo-request, nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }" in quiet[1]


def test_a_door_admits_a_bounded_number_of_first_packets_for_one_element() -> None:
    text = render(a_config())
    assert text.count("limit rate 1/hour burst 16 packets;") == 2


def test_every_counter_is_used_and_every_chain_is_told_as_it_is_rendered() -> None:
    text = render(a_config())
    assert all(f'counter name "{counter}"' in text for counter in Counter)
    for base in base_chains(a_config()):
        assert chain(base.name)[1:] == list(base.rules)


def test_every_set_is_bounded_and_all_but_the_revoked_marks_time_out() -> None:
    sets = [line for line in render(a_config()).splitlines() if line.startswith("  set ")]
    assert len(sets) == 6
    assert all("size 65536;" in line for line in sets)
    assert [line for line in sets if "flags timeout" not in line] == ["  set revoked { type mark; size 65536; }"]
