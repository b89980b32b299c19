"""Proof that the tests guard what they promise: each guard is taken out of a copy of the code, and its tests must fail.

    ./dev guards              every entry
    ./dev guards revoke nat   those whose promise, file or tests hold one of these words

First every named test must pass as it is, file by file, each file with a limit of its own; an entry whose test does
not pass is told and left out, the others go on. The last lines of a run name every entry that is not as it should be.

An entry is a `Guard` in one of the modules below `tables/` (each holds a tuple `GUARDS`; a new module is found by
itself): what is promised, the file, the exact source text that keeps the promise, what stands there when the guard is
out, and the tests of which each must then fail by its own assertion. Prefer fast tests that import the code; a test
that runs the installed programs would not see the change. `tests/unit/test_guards.py` checks with every run of
`./dev check` that each text is found exactly once and each test exists.
"""
