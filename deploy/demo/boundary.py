"""The laboratory's boundary firewall: the router loads the rules that the product writes from the site's zone plan.

The router's own rules stay for what is not the plant's: the provider's line to the broker, the office's to the console,
and ports that the plan does not guard. Who may reach a guarded port of the plant, and whom the plant may dial, is the
product's rules' matter alone.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from deploy.demo.lab import BROKER_PLANT_ADDRESS, PLANT_ADDRESS, ROUTER, Lab, LabError, router_rules
from deploy.demo.workstation import PROGRAMS

ZONE = "Press shop"
TABLE = "sallyport_boundary"
GUARDED_PORTS = "22, 23, 2222, 3306, 3389"

_PLAN = f"""\
guarded_ports = [{GUARDED_PORTS}]

[broker]
interface = "cell0"
addresses = ["{BROKER_PLANT_ADDRESS}"]

[[zone]]
name = "{ZONE}"
interface = "plant0"
prefixes = ["10.50.0.0/24"]
"""
_TARGET = """
[[zone.management]]
name = "{name}"
address = "{address}"
port = {port}
"""
_OUTSIDE = "".join(
    f'\n[[outside]]\nname = "{name}"\ninterface = "{interface}"\n'
    for name, interface in (
        ("vendor", "vendor0"),
        ("office", "office0"),
        ("the broker's vendor face", "out0"),
        ("the broker's console", "mgmt0"),
    )
)
_LEFT_TO_THE_BOUNDARY = f'iifname "plant0" return\n    oifname "plant0" tcp dport {{ {GUARDED_PORTS} }} return'


def plan_of_site(lab: Lab) -> Path:
    """Write the plan as the site's settings name it: its targets come from the registry."""
    path = lab.dir / "boundary.toml"
    path.write_text(_PLAN + _OUTSIDE, encoding="utf-8")
    return path


def whole_plan(lab: Lab, target: str, port: int) -> Path:
    """Write the plan with its one target, as `sallyport boundary` reads it without a registry."""
    path = lab.dir / "boundary-with-target.toml"
    known = _TARGET.format(name=target, address=PLANT_ADDRESS, port=port)
    path.write_text(_PLAN + known + _OUTSIDE, encoding="utf-8")
    return path


def rendered(plan: Path) -> str:
    """The rules for nftables, as the product writes them.

    Raises:
        LabError: it does not take the plan.
    """
    argv = [str(PROGRAMS / "sallyport"), "boundary", "render", "--plan", str(plan), "--format", "nftables"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise LabError(f"sallyport boundary render: {done.stderr.strip()}")
    return done.stdout


def load(lab: Lab, rules: str) -> None:
    """Have the router load the product's rules, and leave the plant to them."""
    lab.run(ROUTER, ["nft", "-f", "-"], text=rules)
    lab.run(ROUTER, ["nft", "-f", "-"], text=router_rules(_LEFT_TO_THE_BOUNDARY))


def exported(lab: Lab) -> str:
    """What the router's administrator hands over for a check."""
    return lab.run(ROUTER, ["nft", "-j", "list", "ruleset"]).stdout


def check(plan: Path, export: str) -> subprocess.CompletedProcess[str]:
    """What the product says to an export; its exit status is the caller's to judge."""
    argv = [str(PROGRAMS / "sallyport"), "boundary", "check", "--plan", str(plan), "--export", "-"]
    return subprocess.run(argv, input=export, capture_output=True, text=True, timeout=60, check=False)


def dropped(lab: Lab, chain: str) -> int:
    """How many packets a chain of the product's rules has dropped so far."""
    listed = json.loads(lab.run(ROUTER, ["nft", "-j", "list", "chain", "inet", TABLE, chain]).stdout)["nftables"]
    statements = [entry["rule"]["expr"] for entry in listed if "rule" in entry]
    counters = [rule for rule in statements if {"drop": None} in rule]
    return sum(int(part["counter"]["packets"]) for rule in counters for part in rule if "counter" in part)
