"""The doctor's look at the kernel's rules: ours are loaded and whole, and nobody else's get in their way."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broker.app.finding import Finding, State
from broker.app.layout import Layout
from broker.app.settings import Settings

_TABLE: Final = "sallyport"
_SECONDS: Final = 20
_CHAIN: Final = re.compile(r"^  chain (\w+) \{\n    type \w+ hook (\w+) [^;]*; policy (\w+);\n(.*?)^  \}", re.M | re.S)
_NFTABLES_CONF: Final = Path("/etc/nftables.conf")
_LEGACY_TABLES: Final = (Path("/proc/net/ip_tables_names"), Path("/proc/net/ip6_tables_names"))
_MARKS: Final = (
    ("Docker", "chain", re.compile(r"DOCKER(-.*)?")),
    ("firewalld", "table", re.compile(r"firewalld")),
    ("ufw", "chain", re.compile(r"ufw6?-.*")),
)


@dataclass(frozen=True)
class Chain:
    """A base chain of our table: where it hooks, what it does at the end, and how many rules it has."""

    hook: str
    policy: str
    rules: int


def examine(settings: Settings, layout: Layout) -> list[Finding]:
    """The findings about this machine's rules."""
    do = "Load it: systemctl restart sallyport-rules (or sallyport up)"
    loaded = _output(["nft", "--json", "list", "ruleset"])
    if loaded is None:
        return [Finding("firewall", State.FAILED, "nft cannot list the rules", "Install nftables; run it as root")]
    wanted = _output(
        [sys.executable, "-P", "-m", "spa_knock.opener", "ruleset", "--config", str(layout.run / "opener.json")]
    )
    if wanted is None:
        found = f"{layout.run / 'opener.json'} is missing or unusable"
        return [Finding("firewall", State.FAILED, found, do)]
    items: list[dict[str, Any]] = json.loads(loaded)["nftables"]
    vendor = settings.vendor_face
    doors = {vendor.tls_port, vendor.ssh_port, *vendor.knock_ports}
    legacy = [path.name for path in _LEGACY_TABLES if path.exists() and path.read_text().strip()]
    flushing = _NFTABLES_CONF.exists() and "flush ruleset" in _NFTABLES_CONF.read_text(errors="replace")
    return [
        judge_ours(chains_of_text(wanted), chains_of_kernel(items)),
        *judge_others(items, doors),
        *judge_flushing(legacy, flushes_at_reload=flushing),
    ]


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False, cwd="/")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def chains_of_text(ruleset: str) -> dict[str, Chain]:
    """The base chains of a rule set as the opener prints it."""
    return {name: Chain(hook, policy, len(rules.splitlines())) for name, hook, policy, rules in _CHAIN.findall(ruleset)}


def chains_of_kernel(items: Iterable[Mapping[str, Any]]) -> dict[str, Chain]:
    """The base chains of our table as the kernel has them."""
    ours = [item for item in items if _is_ours(item)]
    counted = Counter(item["rule"]["chain"] for item in ours if "rule" in item)
    return {
        item["chain"]["name"]: Chain(item["chain"]["hook"], item["chain"]["policy"], counted[item["chain"]["name"]])
        for item in ours
        if "hook" in item.get("chain", {})
    }


def _is_ours(item: Mapping[str, Any]) -> bool:
    (thing,) = item.values()
    name = thing.get("name") if "table" in item else thing.get("table")
    return bool(thing.get("family") == "inet" and name == _TABLE)


def judge_ours(wanted: Mapping[str, Chain], found: Mapping[str, Chain]) -> Finding:
    """Whether the kernel has the base rule set that the settings mean."""
    do = "Load it anew: systemctl reload sallyport-rules (or restart sallyport up); find out who changed it"
    if not found:
        return Finding("firewall", State.FAILED, f"table inet {_TABLE} is not loaded: every port is open", do)
    wrong = [name for name, chain in wanted.items() if found.get(name) != chain]
    wrong += [name for name in found if name not in wanted]
    if wrong or not wanted:
        return Finding("firewall", State.FAILED, f"table inet {_TABLE} is not ours in {', '.join(wrong) or 'all'}", do)
    return Finding("firewall", State.OK, f"the base rule set is loaded: {len(wanted)} chains, input drops")


def judge_others(items: Iterable[Mapping[str, Any]], doors: set[int]) -> list[Finding]:
    """What other tables do that hides, opens or answers at our ports."""
    others = [item for item in items if "metainfo" not in item and not _is_ours(item)]
    findings = []
    for name, kind, pattern in _MARKS:
        if any(kind in item and pattern.fullmatch(item[kind]["name"]) for item in others):
            do = f"Best give Sallyport a host of its own; else let {name} pass its ports, and expect it to change rules"
            findings.append(Finding("other firewalls", State.WARNING, f"{name} has rules on this host", do))
    hooks = {
        (item["chain"]["family"], item["chain"]["table"], item["chain"]["name"]): item["chain"]["hook"]
        for item in others
        if "hook" in item.get("chain", {})
    }
    for item in others:
        rule = item.get("rule")
        if rule is None:
            continue
        place = (rule["family"], rule["table"], rule["chain"])
        where = f"{rule['family']} {rule['table']} {rule['chain']}"
        ports = doors & set(_ports(rule["expr"]))
        verdicts = {next(iter(part)) for part in rule["expr"]}
        if ports and verdicts & {"dnat", "redirect", "tproxy"}:
            found = f"{where} sends port {min(ports)} elsewhere"
            findings.append(Finding("other firewalls", State.FAILED, found, "Remove that rule: it takes a door away"))
        elif ports and "accept" in verdicts:
            found = f"{where} accepts port {min(ports)}; our own chain still decides"
            findings.append(Finding("other firewalls", State.WARNING, found, "Remove that rule: it promises too much"))
        elif "reject" in verdicts and hooks.get(place) == "input":
            found = f"{where} rejects: strangers get an answer and the host is not hidden"
            findings.append(Finding("other firewalls", State.WARNING, found, "Let it drop instead"))
    return findings or [Finding("other firewalls", State.OK, "none that meddles with our ports")]


def _ports(expressions: Iterable[Mapping[str, Any]]) -> Iterable[int]:
    """The destination ports that a rule names."""
    for part in expressions:
        match = part.get("match")
        if match is None or match.get("left", {}).get("payload", {}).get("field") != "dport":
            continue
        right = match["right"]
        for value in right["set"] if isinstance(right, dict) and "set" in right else [right]:
            if isinstance(value, int):
                yield value
            elif isinstance(value, dict) and "range" in value:
                yield from range(value["range"][0], value["range"][1] + 1)


def judge_flushing(legacy: list[str], *, flushes_at_reload: bool) -> list[Finding]:
    """What may take our rules away later, or is not seen by nft."""
    findings = []
    if flushes_at_reload:
        found = f"{_NFTABLES_CONF} flushes every table when nftables.service starts"
        do = "After 'systemctl restart nftables': systemctl reload sallyport-rules; or take 'flush ruleset' out"
        findings.append(Finding("other firewalls", State.WARNING, found, do))
    if legacy:
        found = f"rules of iptables-legacy are loaded ({', '.join(legacy)}), which nft does not show"
        findings.append(Finding("other firewalls", State.WARNING, found, "Look at them: iptables-legacy-save"))
    return findings
