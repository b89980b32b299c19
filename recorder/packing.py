"""Compression of batches by zstd (RFC 8878). Pure.

Only reading and writing content need the zstandard library: the chain and the signatures are over ciphertext, so that a
recording is verified without it.
"""

try:
    import zstandard
except ModuleNotFoundError:  # the verifier as one file runs on Python and `cryptography` alone
    zstandard = None  # type: ignore[assignment]

from recorder.errors import DamagedRecordingError, UnpackerMissingError


def pack(plain: bytes) -> bytes:
    """The packed bytes, with their unpacked size in front. Raises `UnpackerMissingError`."""
    if zstandard is None:
        raise UnpackerMissingError
    return zstandard.ZstdCompressor(level=1).compress(plain)


def unpack(content: bytes, plain_bytes: int) -> bytes:
    """Exactly `plain_bytes`. Raises `DamagedRecordingError("bad_frames")` for anything else, `UnpackerMissingError`."""
    if zstandard is None:
        raise UnpackerMissingError
    try:
        # The size is read before anything is allocated for it.
        if zstandard.get_frame_parameters(content).content_size != plain_bytes:
            raise DamagedRecordingError("bad_frames", "a batch unpacks to another size than its front names")
        return zstandard.ZstdDecompressor().decompress(content, max_output_size=plain_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise DamagedRecordingError("bad_frames", "a batch does not unpack") from error
