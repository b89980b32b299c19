import json
import subprocess
import sys
from pathlib import Path

_PROBE = """
import structlog
from broker.app import logs
logs.configure("control")
log = structlog.get_logger("x")
def fail():
    secret = "hunter2"
    raise ValueError("no")
try:
    fail()
except ValueError:
    log.exception("request_failed", path="/x")
"""


def test_a_failure_is_one_json_line_without_the_values_of_variables() -> None:
    root = Path(__file__).parents[4]
    command = [sys.executable, "-c", _PROBE]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30, cwd=root).stderr
    (line,) = printed.splitlines()
    entry = json.loads(line)
    assert (entry["message"], entry["process"], entry["level"]) == ("request_failed", "control", "error")
    assert "ValueError: no" in entry["exception"]
    assert "hunter2" not in line.replace('secret = \\"hunter2\\"', "")
