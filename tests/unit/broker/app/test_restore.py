import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from broker.adapters.sealed_stream import CHUNK_BYTES, OpeningReader, SealingWriter
from broker.app import backup, keys, restore, verification, wiring
from broker.app.errors import CommandError
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import Settings, load
from broker.audit import store
from tests.unit.broker.app.sites import written_settings


@dataclass
class Lost:
    """A site whose machine is gone: what is left of it lies elsewhere."""

    settings: Settings
    archive: Path
    recovery_key: Path
    kek: Path
    witness: Path
    config: Path

    def restored(self, **changes: Path) -> restore.Restored:
        given = {"archive": self.archive, "recovery_key": self.recovery_key, "kek": self.kek, "config": self.config}
        return restore.restore(**{**given, **changes}, give_away=False)

    def is_nothing_in_place(self) -> bool:
        state = Path(self.settings.site.state_dir)
        return not state.exists() and [path for path in state.parent.iterdir() if path.name.startswith(".state")] == []


@pytest.fixture
def lost(house: House, settings: Settings, tmp_path: Path) -> Lost:
    house.people.first_administrator("chief")
    house.witness.conclude()
    layout, kept = Layout.of(settings), tmp_path / "kept"
    kept.mkdir()
    archive = kept / "site.backup"
    config = written_settings(settings, tmp_path / "sallyport.toml")
    backup.make(settings, config, archive, layout.recovery_public, datetime.now(UTC), as_user=None)
    for path in (
        layout.offline / "recovery.key",
        layout.control / keys.KEY_ENCRYPTION_KEY,
        layout.witness_file(settings),
        layout.recovery_public,
    ):
        shutil.copy(path, kept)
    house.database.close()
    shutil.rmtree(layout.state)
    config.unlink()
    return Lost(
        settings,
        archive,
        kept / "recovery.key",
        kept / keys.KEY_ENCRYPTION_KEY,
        kept / "checkpoints.jsonl",
        config,
    )


def test_a_site_comes_back_with_its_people_its_keys_and_its_trail(lost: Lost) -> None:
    restored = lost.restored()
    restore.conclude(restored)
    assert load(lost.config) == lost.settings
    with wiring.opened(load(lost.config)) as house, house.database.reading() as session:
        assert [person.username for person in house.people.people(limit=10)] == ["chief"]
        codes = [record.code for record in store.walk(session)]
    assert codes[1:] == ["site.backup.made", "site.backup.restored"]


def test_a_restored_site_is_the_one_that_was_witnessed(lost: Lost) -> None:
    restore.conclude(lost.restored())
    with verification.gathered(lost.settings, witness=lost.witness) as scope:
        findings = verification.verify_site(lost.settings, scope)
    assert findings.bad == []
    assert findings.witness.agrees_until == 1


def test_folders_and_files_are_closed_as_in_a_new_site(lost: Lost) -> None:
    lost.restored()
    layout = Layout.of(lost.settings)
    for folder in layout.folders(lost.settings):
        if folder.path != layout.run:
            assert folder.path.stat().st_mode & 0o7777 == folder.mode, folder.path
    for path in [*layout.control.iterdir(), *layout.gateway.iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert not (layout.state / "database").exists()


def test_an_empty_folder_may_already_be_there(lost: Lost) -> None:
    Path(lost.settings.site.state_dir).mkdir()
    restore.conclude(lost.restored())


def test_a_folder_that_holds_something_is_never_touched(lost: Lost) -> None:
    state = Path(lost.settings.site.state_dir)
    state.mkdir()
    (state / "mine").write_text("x")
    with pytest.raises(CommandError, match="is not empty"):
        lost.restored()
    assert [path.name for path in state.iterdir()] == ["mine"]


def test_settings_that_are_already_there_rule(lost: Lost, tmp_path: Path) -> None:
    elsewhere = replace(lost.settings.site, state_dir=str(tmp_path / "new" / "place"))
    written_settings(replace(lost.settings, site=elsewhere), lost.config)
    assert lost.restored().settings.site.state_dir == str(tmp_path / "new" / "place")
    assert (tmp_path / "new" / "place" / "control" / "sallyport.db").is_file()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "other"}, "is of site 'other'"),
        ({"database_url": "postgresql+psycopg:///x"}, "the settings say postgresql"),
        ({"database_url": "sqlite:////elsewhere/x.db"}, "outside"),
    ],
)
def test_settings_that_do_not_fit_the_backup_are_refused(lost: Lost, changes: dict[str, str], complaint: str) -> None:
    written_settings(replace(lost.settings, site=replace(lost.settings.site, **changes)), lost.config)
    with pytest.raises(CommandError, match=complaint):
        lost.restored()
    assert lost.is_nothing_in_place()


def test_without_the_right_keys_nothing_is_restored(lost: Lost, tmp_path: Path) -> None:
    wrong_kek, short = tmp_path / "wrong.key", tmp_path / "short.key"
    wrong_kek.write_bytes(bytes(32))
    short.write_bytes(b"short")
    for change in ({"kek": wrong_kek}, {"kek": short}, {"kek": tmp_path / "absent"}, {"recovery_key": wrong_kek}):
        with pytest.raises(CommandError):
            lost.restored(**change)
        assert lost.is_nothing_in_place()


def _positions(size: int) -> list[int]:
    return [0, 30, 100, 100 + CHUNK_BYTES, size // 2, size - 1]


def test_a_flipped_bit_anywhere_restores_nothing(lost: Lost) -> None:
    whole = lost.archive.read_bytes()
    for position in _positions(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1
        lost.archive.write_bytes(bytes(changed))
        with pytest.raises(CommandError):
            lost.restored()
        assert lost.is_nothing_in_place(), position


def test_a_backup_that_was_cut_anywhere_restores_nothing(lost: Lost) -> None:
    whole = lost.archive.read_bytes()
    head, chunk = 90, CHUNK_BYTES + 16
    for length in [*_positions(len(whole)), *range(head, len(whole), chunk)]:
        lost.archive.write_bytes(whole[:length])
        with pytest.raises(CommandError):
            lost.restored()
        assert lost.is_nothing_in_place(), length


def _forged(lost: Lost, change: Callable[[tarfile.TarInfo], tarfile.TarInfo]) -> None:
    """The backup written anew with something else in it, as one can who has the recovery key."""
    key = restore._private_key(lost.recovery_key)
    members = []
    with lost.archive.open("rb") as file, tarfile.open(fileobj=OpeningReader(file, key), mode="r|") as opened:
        members = [(member, opened.extractfile(member).read()) for member in opened]  # type: ignore[union-attr]
    public = load_pem_public_key((lost.archive.parent / "recovery.pem").read_bytes())
    with lost.archive.open("wb") as file:
        sealing = SealingWriter(file, public)  # type: ignore[arg-type]
        with tarfile.open(fileobj=sealing, mode="w|") as archive:
            for member, content in members:
                archive.addfile(change(member), io.BytesIO(content))
        sealing.close()


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "/etc/cron.d/x", "control/../../x", "guard/x", "control/.x"])
def test_a_name_that_leads_elsewhere_is_refused(lost: Lost, name: str) -> None:
    def renamed(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.name = name if member.name == "gateway/front.pem" else member.name
        return member

    _forged(lost, renamed)
    with pytest.raises(CommandError, match="which no backup of ours does"):
        lost.restored()
    assert lost.is_nothing_in_place()


def test_a_link_is_refused(lost: Lost) -> None:
    def linked(member: tarfile.TarInfo) -> tarfile.TarInfo:
        if member.name == "gateway/front.pem":
            member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/shadow", 0
        return member

    _forged(lost, linked)
    with pytest.raises(CommandError, match="which no backup of ours does"):
        lost.restored()


def test_a_database_that_is_not_the_manifests_is_not_concluded(lost: Lost) -> None:
    restored = lost.restored()
    other = replace(restored.manifest, database=replace(restored.manifest.database, head="00" * 32))
    with pytest.raises(CommandError, match="not the one"):
        restore.conclude(replace(restored, manifest=other))


def test_a_backup_of_a_later_form_says_so(lost: Lost) -> None:
    with pytest.raises(CommandError, match="version 2"):
        restore._manifest(json.dumps({"version": 2, "site": "x", "made_at": "", "database": _COPIED}).encode())
    with pytest.raises(CommandError, match="cannot be read"):
        restore._manifest(b"{}")


_COPIED = {"kind": "sqlite", "revision": "0001", "last_seq": 1, "head": ""}
