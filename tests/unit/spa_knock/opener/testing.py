"""A configuration and honest stand-ins for the opener's tests."""

from spa_knock.opener.config import Config, parse_config

CONFIG_TEXT = """{
 "table": "sallyport", "vendor_interfaces": ["out0"], "doors": {"1": 443, "2": 22}, "knock_ports": [62201],
 "management": [{"interface": "mgmt0", "prefixes": ["10.0.0.0/8", "fd00::/8"], "tcp_ports": [8443]}],
 "uids": {"opener": 61184, "guard": 61185, "gateway": 61186, "control": 61187}, "max_open_seconds": 30
}"""


def a_config() -> Config:
    return parse_config(CONFIG_TEXT)
