"""What can go wrong with a recording.

RecordingFaultError
├── RecordingError      writing: the frames handed over are not (yet) on file
├── DamagedRecordingError    reading: the file is not what its writer wrote
├── UnpackerMissingError     reading: this Python lacks the library that unpacks batches
└── StoreError               where recordings lie did not do what was asked; says nothing about the recording
"""


class RecordingFaultError(Exception):
    """A promise about a recording does not hold; `code` is stable, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RecordingError(RecordingFaultError):
    """A recording could not be written.

    `can_retry` is true when the writer holds the rest of the record and `retry()` may complete it (no space left);
    after any other failure the writer accepts nothing more and the recording ends as broken.
    """

    def __init__(self, code: str, message: str, *, can_retry: bool = False) -> None:
        super().__init__(code, message)
        self.can_retry = can_retry


class DamagedRecordingError(RecordingFaultError):
    """A recording cannot be read or opened. `batch` is the first bad batch (0: the header), `at_us` its time offset."""

    def __init__(self, code: str, message: str, *, batch: int = 0, at_us: int = 0) -> None:
        super().__init__(code, message)
        self.batch = batch
        self.at_us = at_us


class UnpackerMissingError(RecordingFaultError):
    """A batch is compressed and the zstandard library is not installed. Says nothing about the file."""

    def __init__(self) -> None:
        message = "its content is compressed: install the package zstandard, or verify without the unseal key"
        super().__init__("no_unpacker", message)


class StoreError(RecordingFaultError):
    """A store of recordings failed or refused. Neither an `OSError` nor damage, so that it is taken for neither."""
