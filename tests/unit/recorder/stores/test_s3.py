import hashlib
import io
from datetime import UTC, datetime, timedelta

import pytest

from recorder.errors import StoreError
from recorder.stores.port import opened
from recorder.stores.s3 import Lock, S3Store, connect
from recorder.stores.testing import BUCKET, FakeS3, refusal
from tests.unit.recorder.stores.contract import *  # noqa: F403 - the tests that every store passes
from tests.unit.recorder.stores.contract import OTHER, RECORDING, code_of

UNTIL = datetime(2027, 6, 1, tzinfo=UTC)
COMPLIANCE = Lock("COMPLIANCE", UNTIL)


@pytest.fixture
def server() -> FakeS3:
    return FakeS3()


@pytest.fixture
def store(server: FakeS3) -> S3Store:
    return S3Store(server, BUCKET, "site/", part_bytes=1000)


def test_a_recording_goes_in_parts_of_one_size_under_the_prefix(store: S3Store, server: FakeS3) -> None:
    store.put(RECORDING, io.BytesIO(b"x" * 2500))
    assert server.calls.count("upload_part") == 3
    assert [one.key for one in server.objects] == [f"site/{RECORDING}.sallyrec"]


def test_what_is_put_again_is_a_newer_version_and_the_older_stays(store: S3Store) -> None:
    first, second = store.put(RECORDING, io.BytesIO(b"first")), store.put(RECORDING, io.BytesIO(b"second one"))
    assert store.versions(RECORDING) == [first, second]
    assert store.find(RECORDING) == second
    assert list(store.stored()) == [second]
    assert opened(store, first).read() == b"first"


def test_an_upload_is_found_again_and_goes_on_where_it_was(store: S3Store, server: FakeS3) -> None:
    data = bytes(range(250)) * 10
    upload = store.add(store.begin(RECORDING), data[:1000])
    store.begin(OTHER)
    again = S3Store(server, BUCKET, "site/", part_bytes=1000)
    (found,) = again.unfinished(RECORDING)
    resumed = again.resumed(found)
    assert resumed == upload
    stored = again.complete(again.add(again.add(resumed, data[1000:2000]), data[2000:]))
    assert opened(again, stored).read() == data


def test_a_short_or_lonely_part_is_not_continued(store: S3Store, server: FakeS3) -> None:
    upload = store.add(store.add(store.begin(RECORDING), b"a" * 1000), b"short")
    assert store.resumed(upload).size == 1000
    server.uploads[upload.upload_id]["parts"][3] = b"c" * 1000
    assert store.resumed(upload).size == 1000


def test_a_part_that_did_not_arrive_as_sent_is_not_taken(store: S3Store, server: FakeS3) -> None:
    upload = store.begin(RECORDING)

    def torn(name: str) -> None:
        if name == "upload_part":
            raise refusal("BadDigest")

    server.before = torn
    with pytest.raises(StoreError) as said:
        store.add(upload, b"data")
    assert code_of(said) == "failed"


def test_a_part_is_sent_with_its_hash(store: S3Store, server: FakeS3) -> None:
    upload = store.add(store.begin(RECORDING), b"data")
    assert upload.tags == (hashlib.md5(b"data", usedforsecurity=False).hexdigest(),)


def test_an_object_that_lacks_a_part_is_noticed_at_once(store: S3Store, server: FakeS3) -> None:
    server.loses_part = True
    with pytest.raises(StoreError) as said:
        store.put(RECORDING, io.BytesIO(b"x" * 1500))
    assert code_of(said) == "altered"


def test_what_was_given_up_is_gone_and_giving_up_twice_is_no_error(store: S3Store, server: FakeS3) -> None:
    upload = store.begin(RECORDING)
    store.abort(upload)
    store.abort(upload)
    assert server.uploads == {}


@pytest.mark.parametrize("bad", [{"locks": False}])
def test_a_bucket_that_cannot_lock_is_refused(bad: dict[str, bool]) -> None:
    with pytest.raises(StoreError) as said:
        S3Store(FakeS3(**bad), BUCKET).check()
    assert code_of(said) == "no_lock"


def test_a_bucket_that_keeps_no_versions_is_refused(server: FakeS3, store: S3Store) -> None:
    server.versions = False
    with pytest.raises(StoreError) as said:
        store.check()
    assert code_of(said) == "no_lock"


def test_a_bucket_that_is_not_there_is_named(server: FakeS3) -> None:
    S3Store(server, BUCKET).check()
    with pytest.raises(StoreError, match="elsewhere") as said:
        S3Store(server, "elsewhere").check()
    assert code_of(said) == "no_bucket"


def test_a_retained_object_cannot_be_removed_and_its_time_never_shrinks(store: S3Store) -> None:
    kept = store.put(RECORDING, io.BytesIO(b"bytes"))
    assert store.retained(kept) is None
    assert store.retain(kept, COMPLIANCE) == UNTIL
    assert store.retain(kept, Lock("COMPLIANCE", UNTIL - timedelta(days=30))) == UNTIL
    longer = UNTIL + timedelta(days=30)
    assert store.retain(kept, Lock("COMPLIANCE", longer)) == longer
    with pytest.raises(StoreError) as said:
        store.remove(kept)
    assert code_of(said) == "locked"


def test_governance_is_no_compliance(store: S3Store) -> None:
    kept = store.put(RECORDING, io.BytesIO(b"bytes"))
    store.retain(kept, Lock("GOVERNANCE", UNTIL))
    assert store.retained(kept) == Lock("GOVERNANCE", UNTIL)
    store.retain(kept, COMPLIANCE)
    assert store.retained(kept) == COMPLIANCE


def test_a_lock_that_the_server_takes_and_does_not_keep_is_noticed(store: S3Store, server: FakeS3) -> None:
    kept = store.put(RECORDING, io.BytesIO(b"bytes"))
    server.drops_lock = server.drops_hold = True
    for ask in (lambda: store.retain(kept, COMPLIANCE), lambda: store.hold(kept, is_held=True)):
        with pytest.raises(StoreError) as said:
            ask()
        assert code_of(said) == "no_lock"


def test_a_held_object_cannot_be_removed_until_the_hold_is_lifted(store: S3Store) -> None:
    kept = store.put(RECORDING, io.BytesIO(b"bytes"))
    store.hold(kept, is_held=True)
    with pytest.raises(StoreError) as said:
        store.remove(kept)
    assert code_of(said) == "locked"
    store.hold(kept, is_held=False)
    store.remove(kept)
    assert store.versions(RECORDING) == []


def test_a_server_that_is_away_refuses_or_is_full_is_told_apart(store: S3Store, server: FakeS3) -> None:
    server.is_down = True
    with pytest.raises(StoreError) as said:
        store.check()
    assert code_of(said) == "unreachable"
    server.is_down = False

    def fails(code: str) -> None:
        def failing(_name: str) -> None:
            raise refusal(code)

        server.before = failing
        with pytest.raises(StoreError) as said:
            store.begin(RECORDING)
        found.append(code_of(said))

    found: list[str] = []
    for code in ("SignatureDoesNotMatch", "AccessDenied", "QuotaExceeded", "InternalError"):
        fails(code)
    assert found == ["refused", "refused", "no_space", "failed"]


def test_more_than_was_asked_for_is_not_taken(store: S3Store, server: FakeS3) -> None:
    kept = store.put(RECORDING, io.BytesIO(b"0123456789"))
    server.spoil = lambda data: data + b"!"
    with pytest.raises(StoreError) as said:
        store.read(kept, 0, 4)
    assert code_of(said) == "altered"


def test_keys_that_are_no_recordings_are_passed_over(store: S3Store, server: FakeS3) -> None:
    server.putdirectly("site/notes.txt", b"x")
    server.putdirectly("other/" + RECORDING + ".sallyrec", b"x")
    server.putdirectly("site/../x.sallyrec", b"x")
    assert list(store.stored()) == []
    server.uploads["theirs"] = {"key": "site/notes.txt", "parts": {}, "at": server.now}
    assert store.unfinished() == []


def test_the_client_asks_this_endpoint_and_never_shows_its_secret() -> None:
    client = connect("https://store.plant.example:9000", "plant-1", "AKEXAMPLE", "very-secret", "")
    assert client.meta.endpoint_url == "https://store.plant.example:9000"
    assert "very-secret" not in repr(client)
    assert client.meta.config.retries["total_max_attempts"] == 3
