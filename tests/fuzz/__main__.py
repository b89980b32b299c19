"""Coverage-guided fuzzing with atheris: `./dev fuzz TARGET [SECONDS]`, or with libFuzzer's own options
`./dev shell -m tests.fuzz TARGET -max_total_time=300 -rss_limit_mb=2048`. A find is written to a file and ends the run.
"""

import importlib
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found, unused-ignore]


def main() -> None:
    """Hand the chosen target to atheris, with the product's modules instrumented and the seeds as corpus."""
    with atheris.instrument_imports(include=["spa_knock", "json"]):
        targets = importlib.import_module("tests.fuzz.fuzz_knock")
    if len(sys.argv) < 2 or sys.argv[1] not in targets.TARGETS:
        sys.exit(f"usage: ./dev fuzz TARGET [SECONDS]; TARGET is one of {', '.join(targets.TARGETS)}")
    name = sys.argv.pop(1)
    corpus = Path(tempfile.mkdtemp(prefix=f"sally-fuzz-{name}-"))
    for number, seed in enumerate(targets.SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([*sys.argv, str(corpus)], targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
