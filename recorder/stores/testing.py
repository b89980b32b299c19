"""A bucket in memory that answers as S3 does, for tests of what uses one, with the faults that a server may have."""

import base64
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError, EndpointConnectionError

BUCKET: Final = "recordings"


@dataclass
class FakeObject:
    """One version of an object."""

    key: str
    version: str
    data: bytes
    made_at: datetime
    retention: dict[str, Any] | None = None
    held: bool = False


@dataclass
class FakeS3:
    """Has the methods of botocore's client that `S3Store` calls.

    `is_down`: nobody answers. `spoil`: changes what is read back. `drops_lock`: takes retentions and keeps none.
    `before`: called with each method's name, to fail in the middle.
    """

    locks: bool = True
    versions: bool = True
    is_down: bool = False
    drops_lock: bool = False
    drops_hold: bool = False
    loses_part: bool = False
    spoil: Callable[[bytes], bytes] = lambda data: data
    before: Callable[[str], None] = lambda name: None
    objects: list[FakeObject] = field(default_factory=list)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    now: datetime = datetime(2026, 11, 1, tzinfo=UTC)

    def __getattribute__(self, name: str) -> Any:  # a method per call of S3
        found = object.__getattribute__(self, name)
        if callable(found) and "_" in name and not name.startswith("_") and name not in {"get_paginator", "loses_part"}:

            def called(**arguments: Any) -> Any:
                self.calls.append(name)
                self.before(name)
                if self.is_down:
                    raise EndpointConnectionError(endpoint_url="https://store.test")
                if arguments.get("Bucket") != BUCKET:
                    raise refusal("NoSuchBucket")
                self.now += timedelta(milliseconds=1)
                return found(**arguments)

            return called
        return found

    # -- bucket -------------------------------------------------------------------------------------------------------

    def get_bucket_versioning(self, **_: Any) -> Any:
        return {"Status": "Enabled"} if self.versions else {}

    def get_object_lock_configuration(self, **_: Any) -> Any:
        if not self.locks:
            raise refusal("ObjectLockConfigurationNotFoundError")
        return {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}

    # -- uploads ------------------------------------------------------------------------------------------------------

    def create_multipart_upload(self, **arguments: Any) -> Any:
        name = f"upload-{len(self.calls)}"
        self.uploads[name] = {"key": arguments["Key"], "parts": {}, "at": self.now}
        return {"UploadId": name}

    def upload_part(self, **arguments: Any) -> Any:
        data = bytes(arguments["Body"])
        digest = hashlib.md5(data, usedforsecurity=False)
        if base64.b64decode(arguments["ContentMD5"]) != digest.digest():
            raise refusal("BadDigest")
        self._upload(arguments)["parts"][arguments["PartNumber"]] = data
        return {"ETag": digest.hexdigest()}

    def complete_multipart_upload(self, **arguments: Any) -> Any:
        parts = self._upload(arguments)["parts"]
        told = arguments["MultipartUpload"]["Parts"]
        if [one["ETag"] for one in told] != [_tag(parts.get(one["PartNumber"])) for one in told]:
            raise refusal("InvalidPart")
        data = b"".join(parts[one["PartNumber"]] for one in told[: len(told) - self.loses_part])
        del self.uploads[arguments["UploadId"]]
        self.putdirectly(arguments["Key"], data)
        return {}

    def abort_multipart_upload(self, **arguments: Any) -> Any:
        self._upload(arguments)
        del self.uploads[arguments["UploadId"]]
        return {}

    def list_parts(self, **arguments: Any) -> Any:
        parts = self._upload(arguments)["parts"]
        return {"Parts": [{"PartNumber": n, "ETag": _tag(d), "Size": len(d)} for n, d in sorted(parts.items())]}

    def list_multipart_uploads(self, **arguments: Any) -> Any:
        found = [(name, one) for name, one in self.uploads.items() if one["key"].startswith(arguments["Prefix"])]
        return {"Uploads": [{"Key": one["key"], "UploadId": name, "Initiated": one["at"]} for name, one in found]}

    # -- objects ------------------------------------------------------------------------------------------------------

    def get_object(self, **arguments: Any) -> Any:
        data = self._object(arguments).data
        start, end = (int(one) for one in arguments["Range"].removeprefix("bytes=").split("-"))
        if start >= len(data):
            raise refusal("InvalidRange")
        return {"Body": io.BytesIO(self.spoil(data[start : end + 1]))}

    def delete_object(self, **arguments: Any) -> Any:
        one = self._object(arguments)
        if one.held or (one.retention is not None and one.retention["RetainUntilDate"] > self.now):
            raise refusal("AccessDenied")
        self.objects.remove(one)
        return {}

    def list_object_versions(self, **arguments: Any) -> Any:
        found = [one for one in reversed(self.objects) if one.key.startswith(arguments["Prefix"])]
        return {
            "Versions": [
                {"Key": one.key, "VersionId": one.version, "Size": len(one.data), "LastModified": one.made_at}
                for one in sorted(found, key=lambda one: one.key)
            ]
        }

    def put_object_retention(self, **arguments: Any) -> Any:
        one, wanted = self._object(arguments), arguments["Retention"]
        if one.retention is not None and one.retention["RetainUntilDate"] > wanted["RetainUntilDate"]:
            raise refusal("AccessDenied")
        if not self.drops_lock:
            one.retention = wanted
        return {}

    def get_object_retention(self, **arguments: Any) -> Any:
        kept = self._object(arguments).retention
        if kept is None:
            raise refusal("NoSuchObjectLockConfiguration")
        return {"Retention": kept}

    def put_object_legal_hold(self, **arguments: Any) -> Any:
        self._object(arguments).held = arguments["LegalHold"]["Status"] == "ON" and not self.drops_hold
        return {}

    def get_object_legal_hold(self, **arguments: Any) -> Any:
        return {"LegalHold": {"Status": "ON" if self._object(arguments).held else "OFF"}}

    # -- within -------------------------------------------------------------------------------------------------------

    def get_paginator(self, name: str) -> "_Pages":
        return _Pages(getattr(self, name))

    def putdirectly(self, key: str, data: bytes) -> None:
        self.objects.append(FakeObject(key, f"version-{len(self.calls)}", data, self.now))

    def _upload(self, arguments: Any) -> Any:
        if arguments["UploadId"] not in self.uploads:
            raise refusal("NoSuchUpload")
        return self.uploads[arguments["UploadId"]]

    def _object(self, arguments: Any) -> FakeObject:
        for one in reversed(self.objects):
            if one.key == arguments["Key"] and arguments.get("VersionId", one.version) == one.version:
                return one
        raise refusal("NoSuchKey")


@dataclass
class _Pages:
    ask: Callable[..., Any]

    def paginate(self, **arguments: Any) -> Iterator[Any]:
        yield self.ask(**arguments)


def refusal(code: str) -> ClientError:
    """What botocore raises for this answer."""
    return ClientError({"Error": {"Code": code}}, "a call")


def _tag(data: bytes | None) -> str:
    return hashlib.md5(data or b"", usedforsecurity=False).hexdigest()
