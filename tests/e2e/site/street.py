"""The demo's laboratory with a street behind the vendor's address: two more hosts that leave as that address."""

from __future__ import annotations

import subprocess
from typing import Final

from deploy.demo.lab import VENDOR, VENDOR_ADDRESS, Lab

ADA, BEN = "ada", "ben"
STREET: Final = {ADA: ("192.168.7.2", "192.168.7.1"), BEN: ("192.168.7.6", "192.168.7.5")}

_MASQUERADE = """
table ip street {
  chain leaving {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "eth0" masquerade
  }
}
"""


class StreetLab(Lab):
    """`vendor` forwards for `ada` and `ben` and hides both behind its own address, as an access router does."""

    def name(self, host: str) -> str:
        return f"sp-{self.id}-{host}" if host in STREET else super().name(host)

    def move_away(self, host: str) -> str:
        """Give the street's packets another public address from now on; returns it."""
        address = "198.51.100.77"
        self.run(VENDOR, ["ip", "address", "add", f"{address}/24", "dev", "eth0"], check=False)
        self._masquerade(f'ip saddr {STREET[host][0]} oifname "eth0" snat to {address}')
        return address

    def move_back(self) -> None:
        """Let the street leave as `VENDOR_ADDRESS` again."""
        self._masquerade("")

    def forget_flows(self) -> None:
        """As when the access router is another one from now on: what it translated before, it does not know."""
        self.run(VENDOR, ["conntrack", "-F"], check=False)

    def _masquerade(self, before: str) -> None:
        rules = _MASQUERADE.replace('    oifname "eth0" masq', f'    {before}\n    oifname "eth0" masq')
        self.run(VENDOR, ["nft", "-f", "-"], text=f"table ip street\ndelete table ip street\n{rules}")

    def _build(self) -> None:
        super()._build()
        for host, (address, gateway) in STREET.items():
            self._join(host, address, gateway)
        self.run(VENDOR, ["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        self._masquerade("")

    def _join(self, host: str, address: str, gateway: str) -> None:
        # Outside of every host: a namespace's name that is made inside one stays there.
        subprocess.run(["ip", "netns", "add", self.name(host)], check=True)
        self.run(host, ["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"])
        far = ["peer", "name", "eth0", "netns", self.name(host)]
        near = ["ip", "link", "add", "name", host, "netns", self.name(VENDOR), "type", "veth"]
        subprocess.run([*near, *far], check=True)
        self.run(VENDOR, ["ip", "address", "add", f"{gateway}/30", "dev", host])
        self.run(VENDOR, ["ip", "link", "set", host, "up"])
        for command in (
            ["ip", "link", "set", "lo", "up"],
            ["ip", "address", "add", f"{address}/30", "dev", "eth0"],
            ["ip", "link", "set", "eth0", "up"],
            ["ip", "route", "add", "default", "via", gateway],
        ):
            self.run(host, command)


__all__ = ["ADA", "BEN", "STREET", "VENDOR", "VENDOR_ADDRESS", "StreetLab"]
