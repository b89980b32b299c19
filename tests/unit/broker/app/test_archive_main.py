import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.app import archive_main, keys
from broker.app.layout import Layout
from broker.app.settings import Settings, SettingsError, parse
from recorder.stores.s3 import MOST_PARTS, PART_BYTES


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    secret = tmp_path / "secret"
    secret.write_text("very-secret\n")
    made = parse(
        {
            "site": {"name": "demo", "state_dir": str(tmp_path / "state"), "run_dir": str(tmp_path / "run")},
            "vendor_face": {"host": "203.0.113.10", "interface": "out0"},
            "plant_face": {"host": "10.20.0.10", "interface": "mgmt0", "networks": ["10.30.0.0/24"]},
            "object_store": {
                "endpoint": "https://127.0.0.1:9",
                "bucket": "recordings",
                "access_key_id": "AKEXAMPLE",
                "secret_file": str(secret),
            },
        }
    )
    keys.initialise(made, datetime.now(UTC), give_away=False)
    return made


def test_a_new_site_has_what_the_archive_needs(settings: Settings) -> None:
    assert archive_main.archive_of(settings).store.part_bytes == PART_BYTES


def test_the_largest_recording_fits_into_an_object(settings: Settings) -> None:
    store = settings.object_store
    assert store.part_bytes(1024 * 1024) * MOST_PARTS >= 1024 * 1024 << 20
    assert store.part_bytes(settings.recordings.most_mib) == PART_BYTES


@pytest.mark.parametrize("content", ["", "two\nlines", "x" * 2000, "\xe9"])
def test_a_secret_that_is_none_is_named_and_never_shown(settings: Settings, content: str) -> None:
    Path(settings.object_store.secret_file).write_text(content, encoding="latin-1")
    with pytest.raises(SettingsError, match=r"object_store\.secret_file") as said:
        archive_main.archive_of(settings)
    assert not content or content not in str(said.value)


def test_keys_that_do_not_belong_together_are_named_with_what_to_do(settings: Settings) -> None:
    layout = Layout.of(settings)
    (layout.archive / keys.RECEIPT_KEY).unlink()
    with pytest.raises(SettingsError, match="sallyport evidence receipt-key"):
        archive_main.archive_of(settings)
    assert keys.make_receipt_key(settings, give_away=False)
    archive_main.archive_of(settings)
    assert not keys.make_receipt_key(settings, give_away=False)
    layout.receipts_public.write_bytes(layout.checkpoint_public.read_bytes())
    with pytest.raises(SettingsError, match="not the half"):
        archive_main.archive_of(settings)


def test_the_receipts_key_is_the_archives_alone(settings: Settings) -> None:
    layout = Layout.of(settings)
    assert (layout.archive / keys.RECEIPT_KEY).stat().st_mode & 0o777 == 0o600
    assert layout.archive.stat().st_mode & 0o777 == 0o700


def test_a_site_without_a_store_needs_no_archive(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        '[site]\nname = "demo"\n[vendor_face]\nhost = "203.0.113.10"\ninterface = "out0"\n'
        '[plant_face]\nhost = "10.20.0.10"\ninterface = "mgmt0"\nnetworks = ["10.30.0.0/24"]\n'
    )
    command = [sys.executable, "-m", "broker.app.archive_main", "--config", str(tmp_path / "site.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, env={**os.environ})
    assert done.returncode == 1
    assert "object_store.endpoint" in done.stderr
