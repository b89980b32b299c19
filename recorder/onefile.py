"""The verifier as one file that needs only Python and the package `cryptography`. Made from this package's own sources.

The file carries the modules that `recorder.verify` needs, word for word: who reads it reads what the
product runs.
"""

import ast
from importlib.resources import files
from typing import Final

_PACKAGE: Final = "recorder"
_ENTRY: Final = "verify"
_FENCE: Final = "'''"

_FRONT: Final = '''#!/usr/bin/env python3
"""Sallyport's recording verifier in one file. Needs Python 3.11 or later and the package `cryptography`.

    python3 {name} FILE... [--signing-key HEX] [--evidence-key HEX] [--chain HEX] [--checkpoint-key PEM]
                         [--receipt FILE [--device-key-sha256 HEX]] [--unseal-key-file F] [--json]

The signing key of a recording stands in the audit trail (recordings.recording.opened), the chain at its end likewise
(recordings.recording.sealed). Exit status: 0 sealed and whole, 3 unfinished but sound, 1 damaged, 2 wrong use.
--unseal-key-file decrypts every batch as well; for that the package `zstandard` is needed too.
Below are the product's own modules, unchanged; the last lines run them.
"""

import sys
import types

'''

_RUN: Final = """
_package = types.ModuleType("recorder")
_package.__path__ = []
sys.modules["recorder"] = _package
for _name, _source in MODULES.items():
    _module = types.ModuleType("recorder." + _name)
    sys.modules["recorder." + _name] = _module
    setattr(_package, _name, _module)
    exec(compile(_source, "recorder/" + _name + ".py", "exec"), _module.__dict__)

if __name__ == "__main__":
    sys.exit(sys.modules["recorder.verify"].main())
"""


def one_file(name: str = "sallyport-verify.py") -> str:
    """The text of the verifier; `name` is what its help calls it."""
    parts = [_FRONT.replace("{name}", name), "MODULES = {}\n"]
    for module in module_names():
        source = _source(module)
        if _FENCE in source or source.endswith("\\"):
            raise ValueError(f"the source of {module} cannot be carried as one raw text")
        parts.append(f"\nMODULES[{module!r}] = r{_FENCE}{source}{_FENCE}\n")
    return "".join([*parts, _RUN])


def module_names() -> list[str]:
    """The modules of the verifier, each behind those that it imports."""
    found: list[str] = []

    def visit(name: str) -> None:
        if name in found:
            return
        for needed in _imports(_source(name)):
            visit(needed)
        found.append(name)

    visit(_ENTRY)
    return found


def _imports(source: str) -> list[str]:
    names = [
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module is not None
    ]
    return [name.removeprefix(f"{_PACKAGE}.") for name in names if name.startswith(f"{_PACKAGE}.")]


def _source(name: str) -> str:
    return files(_PACKAGE).joinpath(f"{name}.py").read_text("utf-8")
