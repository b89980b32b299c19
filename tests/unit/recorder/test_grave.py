import json
from dataclasses import asdict
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from recorder.grave import grave_at, public_key
from recorder.purged import leave_tombstone
from recorder.testing import write_sample
from recorder.verify import main
from tests.unit.recorder.test_tombstone import KEY as SIGNER
from tests.unit.recorder.test_tombstone import LINE, PUBLIC, STONE

KEY = ("--checkpoint-key", PUBLIC.hex())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a destroyed recording was."""
    recording = tmp_path / f"{STONE.recording_id}.sallyrec"
    leave_tombstone(recording, LINE)
    return recording


def test_a_signed_tombstone_in_a_recordings_place_is_a_lawful_end(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (place, place.with_suffix(".tombstone")):
        assert main([str(path), *KEY]) == 0
        said = capsys.readouterr().out
        assert "PURGED: destroyed by psn_system and psn_auditor: 去年的磁盘满了" in said
        assert main([str(path), *KEY, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["state"], told["tombstone"]) == ("purged", asdict(STONE))


def test_without_the_sites_key_a_tombstone_proves_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(place)]) == 3
    assert "UNCHECKED" in capsys.readouterr().out


def test_a_forged_tombstone_is_damage_and_a_missing_file_is_missing(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(place), "--checkpoint-key", "00" * 32]) == 1
    place.with_suffix(".tombstone").write_bytes(LINE.replace(b'"frames":9', b'"frames":8'))
    assert main([str(place), *KEY, "--json"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["tombstone"] is None
    assert main([str(tmp_path / "rec_1.sallyrec"), *KEY]) == 2


def test_a_recording_that_is_there_is_verified_whatever_lies_beside_it(place: Path) -> None:
    sample = write_sample(place)
    assert grave_at(place, PUBLIC) is None
    assert main([str(sample.path), "--signing-key", sample.signing_public.hex(), *KEY]) == 0
    place.write_bytes(place.read_bytes()[:-1])
    assert main([str(place), "--signing-key", sample.signing_public.hex(), *KEY]) != 0


def test_the_key_is_the_sites_file_or_its_digits(place: Path, tmp_path: Path) -> None:
    pem = tmp_path / "checkpoint.pem"
    public = SIGNER.public_key()
    pem.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert public_key(str(pem)) == public_key(PUBLIC.hex()) == PUBLIC
    assert main([str(place), "--checkpoint-key", str(pem)]) == 0
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for bad in (str(pem), "00", "zz", str(place)):
        with pytest.raises(ValueError, match=r".+"):
            public_key(bad)
