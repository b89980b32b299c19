"""An archive over a bucket in memory, behind its socket, for tests of those who ask it."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.adapters.object_store.archive import Archive, Site
from broker.adapters.object_store.client import ArchiveClient
from broker.adapters.object_store.server import ArchiveServer
from recorder.stores.s3 import S3Store
from recorder.stores.testing import BUCKET, FakeS3

PART_BYTES: Final = 1000


@dataclass
class ArchiveRig:
    """`bucket` is what the archive finds; `receipts` signs, `checkpoint` is the site's key of tombstones."""

    path: Path
    bucket: FakeS3 = field(default_factory=FakeS3)
    receipts: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    checkpoint: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    now: datetime = datetime(2026, 11, 1, tzinfo=UTC)

    @property
    def receipts_public(self) -> bytes:
        return self.receipts.public_key().public_bytes_raw()

    def archive(self) -> Archive:
        """A new process's state over the same bucket."""
        store = S3Store(self.bucket, BUCKET, "site/", part_bytes=PART_BYTES)
        site = Site("demo", BUCKET, "compliance", 180)
        public = self.checkpoint.public_key().public_bytes_raw()
        return Archive(store, site, self.receipts.sign, public, lambda: self.now)

    def move(self, by: timedelta) -> None:
        """Let time pass for archive and bucket."""
        self.now += by
        self.bucket.now += by

    @contextlib.contextmanager
    def serving(self) -> Iterator[ArchiveClient]:
        """The archive's process: it begins and ends here."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            self.path.unlink(missing_ok=True)
            listener.bind(str(self.path))
            listener.listen(16)
            server = ArchiveServer(self.archive(), listener, {os.getuid()})
            thread = threading.Thread(target=server.serve, daemon=True)
            thread.start()
            try:
                yield ArchiveClient(self.path)
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join(5)
