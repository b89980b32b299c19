"""Prints the plant face's OpenAPI document, from which the console's types are generated."""

import json
import sys
import tempfile
from datetime import UTC, datetime

from broker.app import faces, keys, wiring
from broker.app.settings import parse


def document() -> dict[str, object]:
    """The OpenAPI document of a site with default settings."""
    with tempfile.TemporaryDirectory() as folder:
        site = {"name": "openapi", "state_dir": f"{folder}/state", "run_dir": f"{folder}/run"}
        settings = parse(
            {
                "site": site,
                "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
                "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
                "users": {"opener": 61184, "guard": 61185, "gateway": 61186, "control": 61187},
            }
        )
        keys.initialise(settings, datetime.now(UTC), give_away=False)
        with wiring.opened(settings) as house:
            return faces.plant_face(house).openapi()


def main() -> None:
    """Write the document to standard output."""
    json.dump(document(), sys.stdout, indent=1, sort_keys=True, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
