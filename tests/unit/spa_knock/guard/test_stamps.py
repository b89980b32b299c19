"""The anti-replay file: across stops, kills, reboots, damage and a clock set back."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.guard.errors import StampStoreError, StoreFull
from spa_knock.guard.stamps import REUSE_AFTER_MS, StampStore
from spa_knock.wire.replay import WINDOW_MS, History

BOOT, LATER_BOOT = b"boot-one-16bytes", b"boot-two-16bytes"
NOW = 1_795_200_000_000
CAPACITY = 8


def a_store(path: Path, *, boot_id: bytes = BOOT, started_ms: int = NOW, capacity: int = CAPACITY) -> StampStore:
    return StampStore(path, boot_id=boot_id, started_ms=started_ms, capacity=capacity)


def accept(store: StampStore, device_id: str, stamp_ms: int, roster: tuple[str, ...] = ()) -> None:
    store.accept(device_id, stamp_ms, roster=roster, now_ms=NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stamps"


def test_stamps_are_remembered_by_device(path: Path) -> None:
    with a_store(path) as store:
        assert store.last_ms("dev_a") == 0
        accept(store, "dev_a", NOW)
        accept(store, "dev_b", NOW + 5)
        accept(store, "dev_a", NOW + 1)
        assert (store.last_ms("dev_a"), store.last_ms("dev_b"), store.newest_ms()) == (NOW + 1, NOW + 5, NOW + 5)


def test_a_stamp_never_goes_back(path: Path) -> None:
    with a_store(path) as store:
        accept(store, "dev_a", NOW)
        for stamp_ms in (NOW, NOW - 1):
            with pytest.raises(StampStoreError):
                accept(store, "dev_a", stamp_ms)


def test_a_file_that_was_not_there_fences_one_window_off(path: Path) -> None:
    with a_store(path) as store:
        assert (store.history, store.fence_ms) == (History.DOUBTFUL, NOW + WINDOW_MS)


def test_the_first_start_of_a_new_site_needs_no_fence(path: Path) -> None:
    StampStore.create_for_new_site(path, capacity=CAPACITY)
    with a_store(path) as store:
        assert (store.history, store.fence_ms) == (History.COMPLETE, NOW - WINDOW_MS)


def test_a_site_that_has_a_history_cannot_be_declared_new(path: Path) -> None:
    a_store(path).close()
    with pytest.raises(StampStoreError):
        StampStore.create_for_new_site(path, capacity=CAPACITY)


@pytest.mark.parametrize("boot_id", [BOOT, LATER_BOOT])
def test_after_a_clean_stop_everything_is_known_also_after_a_reboot(path: Path, boot_id: bytes) -> None:
    StampStore.create_for_new_site(path, capacity=CAPACITY)
    with a_store(path) as store:
        accept(store, "dev_a", NOW)
    with a_store(path, boot_id=boot_id, started_ms=NOW + 1_000) as store:
        assert (store.history, store.last_ms("dev_a")) == (History.COMPLETE, NOW)
        assert store.fence_ms == NOW + 1_000 - WINDOW_MS


def test_after_a_crash_in_the_same_boot_everything_is_known(path: Path) -> None:
    StampStore.create_for_new_site(path, capacity=CAPACITY)
    store = a_store(path)
    accept(store, "dev_a", NOW)
    store.abandon()
    with a_store(path, started_ms=NOW + 1_000) as store:
        assert (store.history, store.last_ms("dev_a")) == (History.COMPLETE, NOW)


def test_after_a_crash_of_the_machine_the_start_is_fenced(path: Path) -> None:
    StampStore.create_for_new_site(path, capacity=CAPACITY)
    store = a_store(path)
    accept(store, "dev_a", NOW)
    store.abandon()
    with a_store(path, boot_id=LATER_BOOT, started_ms=NOW + 1_000) as store:
        assert (store.history, store.last_ms("dev_a")) == (History.DOUBTFUL, NOW)
        assert store.fence_ms == NOW + 1_000 + WINDOW_MS


def test_a_fence_outlives_a_restart_that_would_lower_it(path: Path) -> None:
    a_store(path).abandon()
    with a_store(path, started_ms=NOW + 1_000) as store:
        assert (store.history, store.fence_ms) == (History.COMPLETE, NOW + WINDOW_MS)
        store.raise_fence(NOW + 90_000)
        store.raise_fence(NOW)
    with a_store(path, started_ms=NOW + 2_000) as store:
        assert store.fence_ms == NOW + 90_000


def test_a_clock_found_set_back_does_not_make_old_packets_new(path: Path) -> None:
    StampStore.create_for_new_site(path, capacity=CAPACITY)
    with a_store(path) as store:
        accept(store, "dev_a", NOW)
    with a_store(path, started_ms=NOW - 3_600_000) as store:
        assert store.fence_ms == NOW


def test_one_guard_at_a_time(path: Path) -> None:
    with a_store(path), pytest.raises(StampStoreError):
        a_store(path)
    a_store(path).close()


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StampStoreError):
        a_store(tmp_path / "absent" / "stamps")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StampStoreError):
        a_store(tmp_path / "link")


@pytest.mark.parametrize("damage", [b"", b"short", bytes(64 + 32 * CAPACITY), b"\xff" * (64 + 32 * CAPACITY)])
def test_a_damaged_file_is_put_aside_and_the_start_is_fenced(path: Path, damage: bytes) -> None:
    with a_store(path) as store:
        accept(store, "dev_a", NOW)
    path.write_bytes(damage)
    with a_store(path, started_ms=NOW + 1_000) as store:
        assert (store.history, store.fence_ms) == (History.DOUBTFUL, NOW + 1_000 + WINDOW_MS)
        accept(store, "dev_a", NOW + 2_000)
    assert path.with_suffix(".damaged").exists() == bool(damage)


@given(position=st.integers(64, 64 + 27), change=st.integers(1, 255))
def test_a_damaged_record_fences_the_start(
    tmp_path_factory: pytest.TempPathFactory, position: int, change: int
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "stamps"
    StampStore.create_for_new_site(path, capacity=CAPACITY)
    with a_store(path) as store:
        accept(store, "dev_a", NOW)
    data = bytearray(path.read_bytes())
    data[position] ^= change
    path.write_bytes(bytes(data))
    with a_store(path, started_ms=NOW + 1_000) as store:
        assert (store.history, store.last_ms("dev_a")) == (History.DOUBTFUL, 0)
        assert store.fence_ms == NOW + 1_000 + WINDOW_MS


@given(st.binary(max_size=400) | st.binary(min_size=64 + 32 * CAPACITY, max_size=64 + 32 * CAPACITY))
def test_arbitrary_files_never_pass_as_a_complete_history(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("arbitrary") / "stamps"
    path.write_bytes(data)
    with a_store(path) as store:
        assert store.history is History.DOUBTFUL


def test_a_full_file_refuses_new_devices_and_keeps_the_known_ones(path: Path) -> None:
    with a_store(path, capacity=2) as store:
        accept(store, "dev_a", NOW)
        accept(store, "dev_b", NOW)
        with pytest.raises(StoreFull):
            accept(store, "dev_c", NOW)
        accept(store, "dev_a", NOW + 1)


def test_a_full_file_gives_a_long_unused_record_of_a_device_that_is_gone(path: Path) -> None:
    with a_store(path, capacity=2) as store:
        accept(store, "dev_a", NOW - REUSE_AFTER_MS - 1)
        accept(store, "dev_b", NOW - REUSE_AFTER_MS - 1)
        accept(store, "dev_c", NOW, roster=("dev_a", "dev_c"))
        assert (store.last_ms("dev_b"), store.last_ms("dev_c")) == (0, NOW)
        with pytest.raises(StoreFull):
            accept(store, "dev_d", NOW, roster=("dev_a", "dev_c", "dev_d"))
    with a_store(path, capacity=2) as store:
        assert store.last_ms("dev_c") == NOW


_CHILD = """
import os, signal, sys
from pathlib import Path
from spa_knock.guard.stamps import StampStore
store = StampStore(Path(sys.argv[1]), boot_id=b"boot-one-16bytes", started_ms=int(sys.argv[2]), capacity=8)
for number in range(int(sys.argv[3])):
    store.accept("dev_a", int(sys.argv[2]) + number, roster=(), now_ms=0)
    os.write(1, b".")
signal.pause()
"""


def test_a_killed_guard_has_forgotten_nothing(path: Path) -> None:
    StampStore.create_for_new_site(path, capacity=CAPACITY)
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(path), str(NOW), "50"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    seen = 0
    while seen < 50:
        seen += len(os.read(child.stdout.fileno(), 50))
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with a_store(path, started_ms=NOW + 1_000) as store:
        assert (store.history, store.last_ms("dev_a")) == (History.COMPLETE, NOW + 49)
