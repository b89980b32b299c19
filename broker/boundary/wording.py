"""The words that stand in rendered rules for the person who loads them."""

from collections.abc import Sequence

from broker.boundary.model import OtherTraffic, ZonePlan


def heading(plan: ZonePlan, load: str, undo: Sequence[str]) -> list[str]:
    """What the rules do, what they leave to others, how to load and how to undo them, as comment lines."""
    broker = ", ".join(sorted(str(address) for address in plan.broker.addresses))
    lines = [
        "Boundary rules written by Sallyport: the broker is the only way to the plant's management ports.",
        "Change the plan and render again; a change made here is found by the check.",
        "",
        f"broker    {broker} on {plan.broker.interface}",
    ]
    for zone in sorted(plan.zones, key=lambda zone: zone.name):
        prefixes = ", ".join(sorted(str(prefix) for prefix in zone.prefixes))
        lines.append(
            f"zone      {zone.name}: {prefixes} on {zone.interface}, {len(zone.management)} management ports, "
            f"guarded {', '.join(str(port) for port in sorted(plan.guarded_in(zone)))}"
        )
    lines.extend(
        f"outside   {network.name} on {network.interface}"
        for network in sorted(plan.outside, key=lambda network: network.name)
    )
    lines.extend(["", *_other_traffic(plan), "", f"load      {load}"])
    lines.extend(f"{'undo' if number == 0 else '':10}{line}" for number, line in enumerate(undo))
    return [f"# {line}".rstrip() for line in lines]


def quotable(text: str, longest_bytes: int) -> str:
    """A text that may stand between double quotes in either tool, cut to so many bytes of UTF-8."""
    safe = text.replace('"', "'").replace("\\", "/")
    return safe.encode()[:longest_bytes].decode(errors="ignore")


def _other_traffic(plan: ZonePlan) -> list[str]:
    closed = [
        "Closed here whatever other rules say: guarded ports to everybody but the broker, connections that the plant",
        "starts towards the outside networks above and the broker, and whatever else the broker sends into the plant.",
    ]
    if plan.other_traffic is OtherTraffic.DROP:
        return [*closed, "All other forwarded traffic is dropped too: this firewall carries maintenance only."]
    return [
        *closed,
        "All other forwarded traffic is not decided here. The firewall's own rules must allow what production needs",
        "(for instance supervision to controllers, or files into the office from a server outside the zones), and,",
        "where they drop by default, also the broker's connections below and their answers.",
    ]
