import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.app import doctor, keys, migrations, plans
from broker.app.finding import State
from broker.app.layout import Folder, Layout
from broker.app.settings import Settings

_NOW = datetime(2026, 11, 20, tzinfo=UTC)
_GIB = 1024**3


@pytest.fixture
def layout(settings: Settings) -> Layout:
    keys.initialise(settings, datetime.now(UTC), give_away=False)
    return Layout.of(settings)


def _states(findings: list[doctor.Finding]) -> dict[str, State]:
    return {finding.name: finding.state for finding in findings}


def test_settings_that_cannot_be_read_end_the_examination(tmp_path: Path) -> None:
    (finding,) = doctor.examine(tmp_path / "absent.toml", _NOW)
    assert (finding.name, finding.state) == ("settings", State.FAILED)


def test_a_site_without_keys_is_told_to_make_them(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        f'[site]\nname = "demo"\nstate_dir = "{tmp_path}/state"\nrun_dir = "{tmp_path}/run"\n'
        '[vendor_face]\nhost = "203.0.113.10"\ninterface = "out0"\n'
        '[plant_face]\nhost = "10.20.0.10"\ninterface = "mgmt0"\nnetworks = ["10.30.0.0/24"]\n'
    )
    findings = doctor.examine(path, _NOW)
    assert _states(findings) == {"settings": State.OK, "keys": State.FAILED}
    assert "sallyport init" in findings[-1].do


def test_a_folder_with_another_mode_is_named_with_the_remedy(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = Folder(tmp_path, os.getuid(), os.getgid(), 0o700)
    finding = doctor.judge_folder(folder, tmp_path.stat())
    assert finding is not None
    assert finding.do == f"chown {os.getuid()}:{os.getgid()} {tmp_path} && chmod 0700 {tmp_path}"
    tmp_path.chmod(0o700)
    assert doctor.judge_folder(folder, tmp_path.stat()) is None
    absent = doctor.judge_folder(folder, None)
    assert absent is not None
    assert absent.state is State.FAILED


def test_a_link_in_a_folders_place_is_no_folder(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    finding = doctor.judge_folder(Folder(link, os.getuid(), os.getgid(), 0o777), link.lstat())
    assert finding is not None


@pytest.mark.parametrize(
    ("name", "mode", "wrong"),
    [
        ("front.key", 0o600, False),
        ("front.key", 0o640, True),
        ("device-ca.sealed", 0o644, True),
        ("x.pem", 0o644, False),
    ],
)
def test_a_secret_is_for_its_process_alone(tmp_path: Path, name: str, mode: int, wrong: bool) -> None:
    path = tmp_path / name
    path.touch()
    path.chmod(mode)
    assert (doctor.judge_private_file(path, path.stat(), os.getuid()) is not None) is wrong
    assert doctor.judge_private_file(path, path.stat(), os.getuid() + 1) is not None


def test_the_keys_of_a_new_site_match(layout: Layout) -> None:
    assert set(_states(doctor._keys(layout)).values()) == {State.OK}


@pytest.mark.parametrize(
    ("put", "instead_of", "name"),
    [
        ("control/plant-face.key", "gateway/front.key", "vendor face key"),
        ("gateway/front.key", "control/plant-face.key", "console key"),
        ("gateway/evidence.key", "gateway/ssh_host_key", "SSH door key"),
        ("public/ssh-user-ca.pub", "public/ssh-host-ca.pub", "SSH door key"),
        ("public/ssh-host-ca.pub", "public/ssh-user-ca.pub", "authorities"),
        ("public/site-root.pem", "public/device-ca.pem", "authorities"),
        ("control/site-key.sealed", "control/device-ca.sealed", "authorities"),
        ("public/device-ca.pem", "public/site-root.pem", "vendor face key"),
    ],
)
def test_a_key_that_does_not_match_is_named(layout: Layout, put: str, instead_of: str, name: str) -> None:
    shutil.copyfile(layout.state / put, layout.state / instead_of)
    assert _states(doctor._keys(layout))[name] is State.FAILED


def test_every_certificate_of_a_new_site_lasts(layout: Layout) -> None:
    ends = dict(doctor.expiries(layout))
    assert set(ends) == {"site root", "device authority", "vendor face", "console", "SSH door"}
    now = datetime.now(UTC)
    assert {doctor.judge_expiry(name, end, now).state for name, end in ends.items()} == {State.OK}


@pytest.mark.parametrize(
    ("days", "state"), [(31, State.OK), (29, State.WARNING), (0, State.FAILED), (-1, State.FAILED)]
)
def test_a_certificate_that_ends_soon_warns_and_one_that_ended_fails(days: int, state: State) -> None:
    assert doctor.judge_expiry("console", _NOW + timedelta(days=days), _NOW).state is state


def test_the_root_key_on_this_machine_is_a_warning(tmp_path: Path) -> None:
    assert doctor.judge_offline(tmp_path, lambda _: True).state is State.WARNING
    assert doctor.judge_offline(tmp_path, lambda _: False).state is State.OK


@pytest.mark.parametrize(
    ("revision", "state"), [("0002", State.OK), ("0001", State.WARNING), ("0009", State.FAILED), (None, State.FAILED)]
)
def test_the_schema_is_this_releases_or_older(revision: str | None, state: State) -> None:
    assert doctor.judge_revision(revision, ["0002", "0001"]).state is state


def test_a_new_sites_database_is_at_this_releases_revision(layout: Layout, settings: Settings) -> None:
    url = layout.database_url(settings)
    assert doctor._database(settings, layout).state is State.FAILED
    migrations.upgrade(url)
    if os.geteuid() != 0:
        assert doctor._database(settings, layout).state is State.OK
    assert doctor.judge_revision(migrations.current_revision(url), migrations.known_revisions()).state is State.OK


@pytest.mark.parametrize(
    ("free", "total", "state"),
    [(50, 100, State.OK), (9, 20, State.WARNING), (50, 1000, State.WARNING), (0, 100, State.FAILED)],
)
def test_recordings_need_room(free: int, total: int, state: State) -> None:
    assert doctor.judge_space(Path("/x"), free * _GIB, total * _GIB).state is state


def test_typed_secrets_without_auditors_keys_are_warned_of() -> None:
    assert doctor.judge_unmask_keys(["aa" * 32, "bb" * 32]).state is State.OK
    assert doctor.judge_unmask_keys([]).state is State.WARNING


def test_every_local_socket_of_the_site_is_looked_for(settings: Settings) -> None:
    layout = Layout.of(settings)
    bindings = [binding for plan in plans.plans(settings, Path("/x"), layout) for _, binding in plan.sockets]
    local = [binding.args[0] for binding in bindings if getattr(binding, "func", None) is plans._unix_listener]
    assert sorted(map(layout.socket, doctor._SOCKETS)) == sorted(local)


def test_only_sockets_that_accept_count_as_listened_on() -> None:
    table = (
        "Num RefCount Protocol Flags Type St Inode Path\n"
        "0: 00000002 00000000 00010000 0001 01 20 /run/sallyport/knocks.sock\n"
        "0: 00000003 00000000 00000000 0001 03 21 /run/sallyport/vendor.sock\n"
        "0: 00000003 00000000 00000000 0001 03 22\n"
    )
    assert doctor._listening(table) == {"/run/sallyport/knocks.sock"}


def test_a_file_that_is_missing_is_a_finding_and_not_the_end(
    tmp_path: Path, settings: Settings, layout: Layout
) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        f'[site]\nname = "demo"\nstate_dir = "{settings.site.state_dir}"\nrun_dir = "{settings.site.run_dir}"\n'
        '[vendor_face]\nhost = "203.0.113.10"\ninterface = "out0"\n'
        '[plant_face]\nhost = "127.0.0.1"\nport = 1\ninterface = "mgmt0"\nnetworks = ["10.30.0.0/24"]\n'
    )
    (layout.gateway / "front.key").unlink()
    findings = doctor.examine(path, datetime.now(UTC))
    states = _states(findings)
    assert states["files"] is State.FAILED
    assert states["console"] is State.FAILED
    assert states["certificates"] is State.OK
    assert doctor.failures(findings)
