"""The store of objects against a real server: Ceph's gateway, with multipart uploads, versions, locks and holds."""

import io
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from recorder.errors import StoreError
from recorder.stores.port import opened
from recorder.stores.s3 import LEAST_PART_BYTES, Lock, S3Store, connect
from tests.contract.object_store import ACCESS_KEY, REGION, SECRET_KEY, ObjectServer, object_server
from tests.unit.recorder.stores.contract import *  # noqa: F403 - the tests that every store passes
from tests.unit.recorder.stores.contract import OTHER, RECORDING, code_of

_NUMBERS = count(1)
_PART = LEAST_PART_BYTES


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        yield running


def new_bucket(server: ObjectServer, *, locks: bool = True) -> tuple[S3Store, str]:
    client = connect(server.endpoint, REGION, ACCESS_KEY, SECRET_KEY, str(server.authority))
    name = f"recordings-{next(_NUMBERS)}"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locks)
    return S3Store(client, name, "site-1/", part_bytes=_PART), name


@pytest.fixture
def store(server: ObjectServer) -> S3Store:
    return new_bucket(server)[0]


def in_days(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def test_the_buckets_lock_is_seen(server: ObjectServer, store: S3Store) -> None:
    store.check()
    for other, code in ((new_bucket(server, locks=False)[0], "no_lock"), (_elsewhere(server), "no_bucket")):
        with pytest.raises(StoreError) as refusal:
            other.check()
        assert code_of(refusal) == code


def _elsewhere(server: ObjectServer) -> S3Store:
    client = connect(server.endpoint, REGION, ACCESS_KEY, SECRET_KEY, str(server.authority))
    return S3Store(client, "no-such-bucket")


def test_parts_go_up_while_a_recording_grows_and_an_upload_survives_its_process(store: S3Store) -> None:
    data = os.urandom(2 * _PART + 1000)
    upload = store.add(store.begin(RECORDING, Lock("COMPLIANCE", in_days(181))), data[:_PART])
    assert list(store.stored()) == []
    (found,) = store.unfinished()
    resumed = store.resumed(found)
    assert (resumed.recording_id, resumed.size) == (RECORDING, _PART)
    stored = store.complete(store.add(store.add(upload, data[_PART : 2 * _PART]), data[2 * _PART :]))
    assert opened(store, stored).read() == data
    assert store.unfinished() == []


def test_a_locked_object_stays_whoever_asks_and_for_as_long_as_it_was_locked(store: S3Store) -> None:
    kept = store.put(RECORDING, io.BytesIO(b"evidence"))
    until = in_days(181)
    assert store.retain(kept, Lock("COMPLIANCE", until)) >= until - timedelta(seconds=1)
    store.put(RECORDING, io.BytesIO(b"another version beside it"))
    with pytest.raises(StoreError) as refusal:
        store.remove(kept)
    assert code_of(refusal) == "locked"
    assert opened(store, kept).read() == b"evidence"
    later = until + timedelta(days=10)
    store.retain(kept, Lock("COMPLIANCE", later))
    found = store.retained(kept)
    assert found is not None
    assert found.until >= later - timedelta(seconds=1)


def test_a_legal_hold_keeps_an_object_until_it_is_lifted(store: S3Store) -> None:
    kept = store.put(RECORDING, io.BytesIO(b"evidence"))
    store.hold(kept, is_held=True)
    with pytest.raises(StoreError) as refusal:
        store.remove(kept)
    assert code_of(refusal) == "locked"
    store.hold(kept, is_held=False)
    store.remove(kept)
    assert store.versions(RECORDING) == []


def test_a_bucket_without_lock_is_noticed_when_an_object_is_to_be_kept(server: ObjectServer) -> None:
    bare, _ = new_bucket(server, locks=False)
    kept = bare.put(RECORDING, io.BytesIO(b"evidence"))
    for ask in (lambda: bare.retain(kept, Lock("COMPLIANCE", in_days(181))), lambda: bare.hold(kept, is_held=True)):
        with pytest.raises(StoreError) as refusal:
            ask()
        assert code_of(refusal) == "no_lock"


def test_another_key_or_another_authority_gets_nothing(server: ObjectServer, store: S3Store) -> None:
    store.put(RECORDING, io.BytesIO(b"evidence"))
    forged = S3Store(connect(server.endpoint, REGION, ACCESS_KEY, "wrong", str(server.authority)), "recordings-1")
    with pytest.raises(StoreError) as refusal:
        forged.find(RECORDING)
    assert code_of(refusal) == "refused"
    unknown = S3Store(connect(server.endpoint, REGION, ACCESS_KEY, SECRET_KEY, ""), "recordings-1")
    with pytest.raises(StoreError, match="SSL") as refusal:
        unknown.find(RECORDING)
    assert code_of(refusal) == "unreachable"


def test_a_server_that_dies_in_the_middle_costs_nothing(server: ObjectServer, store: S3Store) -> None:
    data = os.urandom(_PART + 10)
    upload = store.add(store.begin(OTHER), data[:_PART])
    server.kill()
    try:
        with pytest.raises(StoreError) as refusal:
            store.add(upload, data[_PART:])
        assert code_of(refusal) == "unreachable"
    finally:
        server.start()
    (found,) = store.unfinished(OTHER)
    stored = store.complete(store.add(store.resumed(found), data[_PART:]))
    assert opened(store, stored).read() == data
    assert store.versions(OTHER) == [stored]


def test_an_object_goes_when_its_lock_has_ended_and_not_before(store: S3Store) -> None:
    kept = store.put(RECORDING, io.BytesIO(b"evidence"))
    ends = datetime.now(UTC) + timedelta(seconds=4)
    store.retain(kept, Lock("COMPLIANCE", ends))
    with pytest.raises(StoreError) as refusal:
        store.remove(kept)
    assert code_of(refusal) == "locked"
    while datetime.now(UTC) < ends + timedelta(seconds=1):
        time.sleep(0.1)
    store.remove(kept)
    assert store.versions(RECORDING) == []
