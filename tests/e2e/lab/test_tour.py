"""The main job on real parts: the whole demo, as `./dev demo --tour-only` runs it."""

import os
import re
import subprocess
import sys

import pytest

from deploy.demo.lab import namespaces_of
from deploy.demo.room import CHECKOUT
from deploy.demo.tour import STEPS

pytestmark = [pytest.mark.netns, pytest.mark.browser]


def test_the_tour_passes_every_step_and_leaves_nothing_behind() -> None:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    argv = [sys.executable, "-m", "deploy.demo", "--tour-only"]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.findall(r"^  ✓ +\d+\. (.+?)\s+\d+ proofs", done.stdout, re.MULTILINE)
    assert passed == [name for name, _ in STEPS]
    run = re.search(r"Laboratory ([0-9a-f]{6}):", done.stdout)
    assert run is not None
    assert namespaces_of(run.group(1)) == []
