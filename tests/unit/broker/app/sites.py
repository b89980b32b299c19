"""Settings as a file, for the commands that read one."""

import dataclasses
import json
from pathlib import Path

from broker.app.settings import Settings


def written_settings(settings: Settings, path: Path) -> Path:
    """These settings as TOML."""
    lines = []
    for section, values in dataclasses.asdict(settings).items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
