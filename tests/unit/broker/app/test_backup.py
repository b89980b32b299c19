import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from broker.adapters.sealed_stream import OpeningReader
from broker.app import backup, keys
from broker.app.errors import CommandError
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import Settings
from tests.unit.broker.app.sites import written_settings

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _make(settings: Settings, tmp_path: Path, public: Path | None = None) -> Path:
    target = tmp_path / "site.backup"
    config = written_settings(settings, tmp_path / "sallyport.toml")
    public = public or Layout.of(settings).recovery_public
    backup.make(settings, config, target, public, NOW, as_user=None)
    return target


def _content(settings: Settings, target: Path) -> dict[str, bytes]:
    key = load_pem_private_key((Layout.of(settings).offline / "recovery.key").read_bytes(), None)
    with target.open("rb") as file:
        reader = OpeningReader(file, key)  # type: ignore[arg-type]
        with tarfile.open(fileobj=reader, mode="r|") as archive:
            return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def test_everything_but_the_offline_keys_and_the_key_encryption_key_is_in_it(
    house: House, settings: Settings, tmp_path: Path
) -> None:
    content, layout = _content(settings, _make(settings, tmp_path)), Layout.of(settings)
    assert list(content)[:3] == ["manifest.json", "sallyport.toml", "database"]
    needed = {f"control/{path.name}" for path in layout.control.glob("*.sealed")}
    needed |= {f"public/{path.name}" for path in layout.public.iterdir()}
    needed |= {f"gateway/{path.name}" for path in layout.gateway.iterdir()}
    assert needed < set(content)
    everything = b"".join(content.values())
    for secret in (layout.control / keys.KEY_ENCRYPTION_KEY, layout.offline / "site-root.key"):
        assert secret.read_bytes() not in everything
    assert not any(name.startswith(("offline", "guard")) for name in content)


def test_the_backup_itself_is_on_the_trail_and_in_the_copy(house: House, settings: Settings, tmp_path: Path) -> None:
    house.people.first_administrator("chief")
    content = _content(settings, _make(settings, tmp_path))
    assert b"site.backup.made" in content["database"]
    assert b'"last_seq": 2' in content["manifest.json"]


def test_the_file_is_for_its_owner_and_shows_nothing(house: House, settings: Settings, tmp_path: Path) -> None:
    target = _make(settings, tmp_path)
    assert target.stat().st_mode & 0o777 == 0o600
    assert b"site.backup.made" not in target.read_bytes()
    assert b"CERTIFICATE" not in target.read_bytes()


def test_no_copy_of_the_database_stays_behind(house: House, settings: Settings, tmp_path: Path) -> None:
    layout = Layout.of(settings)
    before = {*layout.state.iterdir(), *layout.control.iterdir()}
    _make(settings, tmp_path)
    assert {*layout.state.iterdir(), *layout.control.iterdir()} == before


def test_an_existing_file_is_never_overwritten(house: House, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "site.backup").write_bytes(b"mine")
    with pytest.raises(CommandError, match="cannot be made"):
        _make(settings, tmp_path)
    assert (tmp_path / "site.backup").read_bytes() == b"mine"


def test_half_a_backup_is_no_backup(house: House, settings: Settings, tmp_path: Path) -> None:
    (Layout.of(settings).gateway / "front.key").unlink()
    with pytest.raises(FileNotFoundError):
        _make(settings, tmp_path)
    assert not (tmp_path / "site.backup").exists()


def test_only_a_recovery_key_is_taken(house: House, settings: Settings, tmp_path: Path) -> None:
    layout = Layout.of(settings)
    for wrong in (layout.checkpoint_public, layout.site_root, tmp_path / "absent"):
        with pytest.raises(CommandError):
            _make(settings, tmp_path, wrong)
