"""Every source file has its test file, at the mirrored path."""

from pathlib import Path

_ROOT = Path(__file__).parents[2]
_EXEMPT = {"__init__", "__main__", "errors", "events", "testing"}


def test_every_source_file_has_its_test_file() -> None:
    missing = []
    for package in ("broker", "recorder", "spa_knock"):
        for source in sorted((_ROOT / package).rglob("*.py")):
            if source.stem in _EXEMPT or source.parent.name == "console":
                continue
            relative = source.relative_to(_ROOT)
            if not (_ROOT / "tests" / "unit" / relative.parent / f"test_{source.name}").is_file():
                missing.append(str(relative))
    assert missing == []


def test_every_tests_folder_is_a_package() -> None:
    bare = [str(folder) for folder in (_ROOT / "tests").rglob("*") if folder.is_dir() and _holds_tests(folder)]
    assert bare == []


def _holds_tests(folder: Path) -> bool:
    return any(folder.glob("test_*.py")) and not (folder / "__init__.py").is_file()
