import tomllib
from pathlib import Path

from deploy.demo.site import set_up


def test_settings_join_their_section_or_begin_it_and_replace_what_was_there(tmp_path: Path) -> None:
    config = tmp_path / "sallyport.toml"
    config.write_text('[site]\nname = "x"\n\n[limits]\ngrant_hours = 8\n', encoding="utf-8")
    set_up(config, "limits", autonomy_seconds=5, must_be_watched=True)
    set_up(config, "limits", autonomy_seconds=6)
    set_up(config, "recordings", sync_seconds=0.5)
    assert tomllib.loads(config.read_text(encoding="utf-8")) == {
        "site": {"name": "x"},
        "limits": {"grant_hours": 8, "autonomy_seconds": 6, "must_be_watched": True},
        "recordings": {"sync_seconds": 0.5},
    }
