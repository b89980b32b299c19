"""The verifier as one file, run by a Python that may import nothing but the standard library and `cryptography`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.onefile import module_names, one_file
from recorder.testing import Sample, write_sample
from recorder.walk import read_front
from tests.unit.recorder.test_golden import BROKEN, COMPRESSED, SEALED, key

# Everything that belongs to neither is refused, so that a later import of another package shows here.
_ALONE = """
import sys, runpy
allowed = sys.stdlib_module_names | {"cryptography", "_cffi_backend"}
class Only:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ModuleNotFoundError(f"{name} is not there", name=name)
sys.path = [one for one in sys.path if one]
sys.meta_path.insert(0, Only())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(verifier: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", _ALONE, str(verifier), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=verifier.parent, timeout=120)


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("verifier") / "sallyport-verify.py"
    path.write_text(one_file(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return write_sample(tmp_path_factory.mktemp("recording") / "a.sallyrec")


def test_a_whole_recording_is_verified_by_the_one_file(verifier: Path, sample: Sample) -> None:
    done = run(verifier, sample.path, "--signing-key", sample.signing_public.hex(), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["state"] == "sealed"


def test_damage_is_named_by_the_one_file_with_kind_batch_and_time(
    verifier: Path, sample: Sample, tmp_path: Path
) -> None:
    data = bytearray(sample.path.read_bytes())
    with sample.path.open("rb") as stream:
        data[read_front(stream).end + 60] ^= 1  # in the body of the first batch
    bad = tmp_path / "bad.sallyrec"
    bad.write_bytes(data)
    done = run(verifier, bad, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert (found["kind"], found["first_bad_batch"], found["at_us"]) == ("flipped", 1, 1_000)


def test_every_released_version_is_read_by_the_one_file(verifier: Path) -> None:
    assert run(verifier, SEALED, COMPRESSED, "--signing-key", key("signing_public").hex()).returncode == 0
    assert run(verifier, BROKEN).returncode == 3


def test_content_that_needs_zstandard_is_not_called_damaged_without_it(verifier: Path, tmp_path: Path) -> None:
    unseal = tmp_path / "unseal"
    unseal.write_bytes(key("unseal_private"))
    done = run(verifier, COMPRESSED, "--unseal-key-file", unseal)
    assert done.returncode == 2
    assert "install the package zstandard" in done.stderr


def test_modules_stand_behind_those_that_they_import() -> None:
    names = module_names()
    assert names.index("errors") < names.index("seal") < names.index("walk") < names.index("verify")
    assert "writer" not in names
