"""Recordings as objects of a bucket that speaks S3: in parts while they grow, versioned and under Object Lock. I/O.

An object's retention and legal hold are asked back after they were set, because a server may take them and keep none.
Every call has a bound; what fails is told as `StoreError` and nothing is tried without end.
"""

import base64
import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session
from urllib3.exceptions import HTTPError

from recorder.errors import StoreError
from recorder.stores.local import checked_id
from recorder.stores.port import SUFFIX, Stored

LEAST_PART_BYTES: Final = 5 << 20
"""S3 takes no smaller part but the last."""
PART_BYTES: Final = 8 << 20
MOST_PARTS: Final = 10_000
_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 30
_ATTEMPTS: Final = 3
_MOST_PAGES: Final = 10_000
_SKEW: Final = timedelta(seconds=1)

_NOT_FOUND: Final = {"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "404", "NotFound"}
_NO_LOCK: Final = {"ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "InvalidRequest"}
_REFUSED: Final = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "403"}
_NO_ROOM: Final = {"QuotaExceeded", "XMinioStorageFull", "507"}


@dataclass(frozen=True, slots=True)
class Lock:
    """How the bucket keeps an object from everybody: `GOVERNANCE` or `COMPLIANCE`, until this moment."""

    mode: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """An unfinished upload: `tags` are the server's names of the parts it has, in order; `size` their bytes."""

    recording_id: str
    upload_id: str
    tags: tuple[str, ...] = ()
    size: int = 0


def connect(
    endpoint: str, region: str, access_key_id: str, secret: str, ca_file: str
) -> Any:  # botocore makes its client at run time
    """A client for this endpoint. `ca_file` empty: the system's authorities. Nothing is asked yet."""
    return Session().create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret,
        verify=ca_file or True,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            # Parts carry an MD5, which every server checks; the newer checksums are not known to all of them.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            proxies={},
        ),
    )


class S3Store:
    """A `RecordingStore` over a bucket with versions: a recording put again is a newer version, none is replaced.

    Further codes: `unreachable`, `refused` (the key may not do this), `no_bucket`, `no_lock`, `locked`.
    """

    def __init__(self, client: Any, bucket: str, prefix: str = "", *, part_bytes: int = PART_BYTES) -> None:
        """`part_bytes`: every part but the last has this size; so much of a recording is in memory at once."""
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self.part_bytes = part_bytes

    # -- the port -----------------------------------------------------------------------------------------------------

    def put(self, recording_id: str, source: BinaryIO) -> Stored:
        """As the port says: a put that fails leaves no object; its parts are given up."""
        upload = self.begin(recording_id)
        try:
            source.seek(0)
            while data := source.read(self.part_bytes):
                upload = self.add(upload, data)
            return self.complete(upload if upload.tags else self.add(upload, b""))
        except OSError as error:
            self._give_up(upload)
            raise StoreError("failed", f"{recording_id}: its source cannot be read: {error.strerror}") from error
        except StoreError:
            self._give_up(upload)
            raise

    def find(self, recording_id: str) -> Stored:
        found = self.versions(recording_id)
        if not found:
            raise StoreError("not_found", f"there is no recording {recording_id} in the bucket")
        return found[-1]

    def read(self, stored: Stored, start: int, count: int) -> bytes:
        wanted = min(count, stored.size - start)
        if wanted <= 0:
            return b""
        one = self._one(stored)
        with self._asking(stored.recording_id):
            try:
                answer = self._client.get_object(**one, Range=f"bytes={start}-{start + wanted - 1}")
            except ClientError as error:
                if _code(error) == "InvalidRange":
                    return b""
                raise
            with contextlib.closing(answer["Body"]) as body:
                data = body.read(wanted + 1)
        if len(data) > wanted:
            raise StoreError("altered", f"{stored.recording_id}: the store gave more than was asked for")
        return bytes(data)

    def stored(self) -> Iterator[Stored]:
        yield from {one.recording_id: one for one in self._versions(self._prefix)}.values()

    def remove(self, stored: Stored) -> None:
        one = self._one(stored)
        with contextlib.suppress(_Gone), self._asking(stored.recording_id, locks=True):
            self._client.delete_object(**one)

    # -- growing ------------------------------------------------------------------------------------------------------

    def begin(self, recording_id: str, lock: Lock | None = None) -> Upload:
        """Begin an upload; an object made of it is locked from its first moment where the server knows how."""
        key = self._key(recording_id)
        locked = {} if lock is None else {"ObjectLockMode": lock.mode, "ObjectLockRetainUntilDate": lock.until}
        with self._asking(recording_id):
            made = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, **locked)
        return Upload(recording_id, str(made["UploadId"]))

    def unfinished(self, recording_id: str | None = None) -> list[Upload]:
        """Uploads that were begun and neither completed nor aborted, oldest first, without their parts."""
        prefix = self._prefix if recording_id is None else self._key(recording_id)
        found: list[tuple[datetime, Upload]] = []
        with self._asking(recording_id or "uploads"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in _bounded(pages):
                for one in page.get("Uploads", ()):
                    name = self._id_of(str(one["Key"]))
                    if name is not None and (recording_id is None or name == recording_id):
                        found.append((one["Initiated"], Upload(name, str(one["UploadId"]))))
        return [upload for _, upload in sorted(found, key=lambda pair: (pair[0], pair[1].upload_id))]

    def resumed(self, upload: Upload) -> Upload:
        """The upload with those parts that can be continued: full ones, from the first without a gap."""
        tags: list[str] = []
        with self._asking(upload.recording_id):
            pages = self._client.get_paginator("list_parts").paginate(
                Bucket=self._bucket, Key=self._key(upload.recording_id), UploadId=upload.upload_id
            )
            for page in _bounded(pages):
                for part in page.get("Parts", ()):
                    if part["PartNumber"] == len(tags) + 1 and part["Size"] == self.part_bytes:
                        tags.append(str(part["ETag"]))
        return replace(upload, tags=tuple(tags), size=len(tags) * self.part_bytes)

    def add(self, upload: Upload, data: bytes) -> Upload:
        """Send the next part; the server takes it only with the hash of what was sent."""
        if len(upload.tags) >= MOST_PARTS:
            raise StoreError("failed", f"{upload.recording_id}: an object has at most {MOST_PARTS} parts")
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        with self._asking(upload.recording_id):
            made = self._client.upload_part(
                Bucket=self._bucket,
                Key=self._key(upload.recording_id),
                UploadId=upload.upload_id,
                PartNumber=len(upload.tags) + 1,
                Body=data,
                ContentMD5=base64.b64encode(digest).decode(),
            )
        return replace(upload, tags=(*upload.tags, str(made["ETag"])), size=upload.size + len(data))

    def complete(self, upload: Upload) -> Stored:
        """Make the object of its parts. Raises `altered` when the server's object has another size than they."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(upload.tags, 1)]
        with self._asking(upload.recording_id):
            self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=self._key(upload.recording_id),
                UploadId=upload.upload_id,
                MultipartUpload={"Parts": parts},
            )
        made = self.find(upload.recording_id)
        if made.size != upload.size:
            message = f"{upload.recording_id}: {upload.size} bytes were sent, the object has {made.size}"
            raise StoreError("altered", message)
        return made

    def abort(self, upload: Upload) -> None:
        """Give up an upload and its parts; one that is gone is given up."""
        with contextlib.suppress(_Gone), self._asking(upload.recording_id):
            self._client.abort_multipart_upload(
                Bucket=self._bucket, Key=self._key(upload.recording_id), UploadId=upload.upload_id
            )

    def versions(self, recording_id: str) -> list[Stored]:
        """Every version of a recording's object, oldest first."""
        return [one for one in self._versions(self._key(recording_id)) if one.recording_id == recording_id]

    # -- locks --------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """That the bucket is there, keeps versions and can lock objects. Raises `no_bucket`, `no_lock`."""
        with self._asking("the bucket"):
            versions = self._client.get_bucket_versioning(Bucket=self._bucket)
            answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
        enabled = answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled")
        if versions.get("Status") != "Enabled" or enabled != "Enabled":
            raise StoreError("no_lock", f"bucket {self._bucket} does not keep versions under Object Lock")

    def retain(self, stored: Stored, lock: Lock) -> datetime:
        """Have these bytes kept at least so long, in this mode; returns until when they are. Never shortens.

        Raises `no_lock` when the server afterwards says less.
        """
        kept = self.retained(stored)
        if not _covers(kept, lock):
            until = lock.until if kept is None else max(lock.until, kept.until)
            with self._asking(stored.recording_id, locks=True):
                self._client.put_object_retention(
                    **self._one(stored), Retention={"Mode": lock.mode, "RetainUntilDate": until}
                )
            kept = self.retained(stored)
        if kept is None or not _covers(kept, lock):
            raise StoreError("no_lock", f"{stored.recording_id}: the store does not keep the object locked")
        return kept.until

    def retained(self, stored: Stored) -> Lock | None:
        """How these bytes are locked; None when they are not."""
        with self._asking(stored.recording_id):
            try:
                kept = self._client.get_object_retention(**self._one(stored)).get("Retention", {})
            except ClientError as error:
                if _code(error) in _NO_LOCK:
                    return None
                raise
        mode, until = kept.get("Mode"), kept.get("RetainUntilDate")
        return Lock(str(mode), until.astimezone(UTC)) if mode and until else None

    def hold(self, stored: Stored, *, is_held: bool) -> None:
        """Set or lift the object's legal hold. Raises `no_lock` when the server afterwards says otherwise."""
        one, wanted = self._one(stored), "ON" if is_held else "OFF"
        with self._asking(stored.recording_id, locks=True):
            self._client.put_object_legal_hold(**one, LegalHold={"Status": wanted})
            said = self._client.get_object_legal_hold(**one).get("LegalHold", {}).get("Status")
        if said != wanted:
            raise StoreError("no_lock", f"{stored.recording_id}: the store does not keep the legal hold")

    # -- within -------------------------------------------------------------------------------------------------------

    def _give_up(self, upload: Upload) -> None:
        with contextlib.suppress(StoreError):  # what was to be told is told; a later start finds what stays
            self.abort(upload)

    def _versions(self, prefix: str) -> Iterator[Stored]:
        found: list[tuple[str, datetime, int, Stored]] = []
        with self._asking("the bucket"):
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in _bounded(pages):
                for one in page.get("Versions", ()):
                    name = self._id_of(str(one["Key"]))
                    if name is not None:
                        stored = Stored(name, int(one["Size"]), str(one["VersionId"]))
                        # The server names newer versions first, also those of one moment.
                        found.append((name, one["LastModified"], -len(found), stored))
        yield from (stored for *_, stored in sorted(found, key=lambda entry: entry[:3]))

    def _key(self, recording_id: str) -> str:
        return f"{self._prefix}{checked_id(recording_id)}{SUFFIX}"

    def _id_of(self, key: str) -> str | None:
        name = key.removeprefix(self._prefix).removesuffix(SUFFIX)
        try:
            return name if self._key(name) == key else None
        except StoreError:
            return None

    def _one(self, stored: Stored) -> dict[str, str]:
        version = {"VersionId": stored.version} if stored.version else {}
        return {"Bucket": self._bucket, "Key": self._key(stored.recording_id), **version}

    @contextlib.contextmanager
    def _asking(self, what: str, *, locks: bool = False) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code, message = _code(error), f"{what} in bucket {self._bucket}: the store says {_code(error)}"
            if code == "NoSuchBucket":
                raise StoreError("no_bucket", message) from error
            if code in _NOT_FOUND:
                raise _Gone("not_found", message) from error
            if code in _NO_LOCK:
                raise StoreError("no_lock", message) from error
            if code in _NO_ROOM:
                raise StoreError("no_space", message) from error
            if code in _REFUSED:
                raise StoreError("locked" if locks and code == "AccessDenied" else "refused", message) from error
            raise StoreError("failed", message) from error
        except (BotoCoreError, HTTPError, OSError) as error:
            message = f"the object store does not answer ({type(error).__name__})"
            raise StoreError("unreachable", message) from error


class _Gone(StoreError):
    """`not_found`, where being gone is as good as done."""


def _covers(kept: Lock | None, lock: Lock) -> bool:
    modes = {lock.mode, "COMPLIANCE"}
    return kept is not None and kept.mode in modes and kept.until >= lock.until - _SKEW


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))[:80]


def _bounded(pages: Sequence[Any] | Iterator[Any]) -> Iterator[Any]:
    for number, page in enumerate(pages):
        if number >= _MOST_PAGES:
            raise StoreError("failed", "the store's list does not end")
        yield page
