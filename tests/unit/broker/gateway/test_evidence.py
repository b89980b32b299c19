"""Recordings without an end get a signed mark, once; those with an end are left alone."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from broker.gateway.evidence import BadEvidenceKey, Evidence
from recorder.frames import Frame, FrameKind
from recorder.manifest import RecordingHeader
from recorder.report import State
from recorder.seal import generate_recipient
from recorder.verify import verify
from recorder.writer import RecordingWriter
from tests.unit.broker.gateway.folders import short_folder


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def recording(folder: Path, name: str) -> RecordingWriter:
    import os

    _, public = generate_recipient()
    header = RecordingHeader(f"rec_{name}", f"ses_{name}", 1, "ssh", width=0, height=0)
    writer = RecordingWriter.create(
        folder / f"rec_{name}.sallyrec", header=header, recipient_public=public, now_ms=1, random=os.urandom
    )
    writer.append([Frame(FrameKind.OUTPUT, 1, 5, b"hello")])
    return writer


def test_only_what_was_left_open_is_marked_and_only_once() -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    with short_folder() as folder:
        recording(folder, "1").seal("client_left", 2)
        recording(folder, "2").close_broken()
        (folder / "rec_3.sallyrec").write_bytes(b"junk")
        evidence = Evidence(key)
        (lost,) = evidence.mark_left_over(folder)
        assert lost.session_id == "ses_2"
        assert (lost.recording.state, lost.recording.frames) == ("broken", 1)
        report = verify(folder / "rec_2.sallyrec", signing_public=None, evidence_public=public)
        assert report.state is State.BROKEN
        assert report.is_evidence_key_pinned
        assert verify(folder / "rec_1.sallyrec", signing_public=None).state is State.SEALED
        assert list(evidence.mark_left_over(folder)) == []


def test_a_recording_that_is_being_written_is_left_alone() -> None:
    with short_folder() as folder:
        writer = recording(folder, "1")
        assert list(Evidence(Ed25519PrivateKey.generate()).mark_left_over(folder)) == []
        writer.seal("client_left", 2)


@pytest.mark.parametrize("content", [b"", b"no key", pem(ec.generate_private_key(ec.SECP256R1()))])
def test_another_key_stops_the_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(BadEvidenceKey):
        Evidence.load(tmp_path / "k")


def test_a_key_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(pem(Ed25519PrivateKey.generate()))
    Evidence.load(tmp_path / "k")
