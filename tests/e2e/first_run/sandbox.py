"""A Debian of its own for whoever types the page: its users, settings, state and network, and a shell of root."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from deploy.demo.terminal import Terminal

SECONDS: Final = 60.0
PROMPT: Final = "first-run> "
_READY: Final = rf"{PROMPT}|(?:keller|maint)@[\w.-]+:\S*\$ "
_GOES_ON: Final = "and-on> "
_FURNISH: Final = """\
set -e
mount -n --make-rprivate /
mount -n -t tmpfs -o mode=0755 tmpfs "$1"
for folder in /etc /var/lib; do
  over="$1$folder"
  mkdir -p "$over/new" "$over/work"
  mount -n -t overlay overlay -o "lowerdir=$folder,upperdir=$over/new,workdir=$over/work" "$folder"
done
for folder in /run /home; do mount -n -t tmpfs -o mode=0755 tmpfs "$folder"; done
mount -n -t proc proc /proc
ip link set lo up
cd "$2"
exec env -i HOME=/root TERM=xterm LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin PS1="$3" PS2="and-on> " \\
  bash --norc --noprofile --noediting -i
"""


class Shell:
    """A terminal with a shell: each line is typed, questions are answered, and the next prompt is waited for.

    Args:
        ready: what its prompts look like.
    """

    def __init__(self, terminal: Terminal, ready: str = _READY) -> None:
        self.terminal = terminal
        self._ready = ready
        self.await_prompt()

    def await_prompt(self, seconds: float = SECONDS) -> None:
        """Wait until the shell asks for the next line."""
        self.terminal.expect(self._ready, seconds)

    def type(self, line: str, answers: Mapping[str, Callable[[], str]] | None = None, seconds: float = SECONDS) -> str:
        """Type one line; returns what came before the next prompt, or before the rest of a longer command.

        Args:
            answers: what to type when a question appears; asked for when it does, so that a code is fresh.
            seconds: how long the answer may take.
        """
        before = len(self.terminal.screen)
        self.terminal.type(f"{line}\n")
        asked = "|".join(f"(?:{question})" for question in answers or {})
        while True:
            wanted = f"{self._ready}|{_GOES_ON}" + (f"|{asked}" if asked else "")
            found = self.terminal.expect(wanted, seconds)[0]
            answer = next((give for ask, give in (answers or {}).items() if re.fullmatch(ask, found)), None)
            if answer is None:
                return self.terminal.screen[before:]
            self.terminal.type(f"{answer()}\n")

    def status(self) -> int:
        """The exit status of the command before."""
        self.terminal.type("echo status-$?\n")
        status = int(self.terminal.expect(r"status-(\d+)", SECONDS)[1])
        self.await_prompt()
        return status


class Sandbox:
    """A context manager: users, /etc, /var/lib, /run, /home, processes and network are its own, and go with it."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="sallyport-first-run-"))
        spaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
        argv = [*spaces, "bash", "-c", _FURNISH, "furnish", folder, str(self._checkout), PROMPT]
        terminal = self._stack.enter_context(Terminal(argv, columns=200))
        try:
            self.shell = Shell(terminal)
            self._inside = _only_child(terminal.process.pid)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def namespace(self, _host: str) -> Path:
        """The network in which the browser runs: this machine's own."""
        return Path(f"/proc/{self._inside}/ns/net")

    def path(self, inside: str) -> Path:
        """A file of the sandbox as it is seen from outside."""
        return Path(f"/proc/{self._inside}/root{inside}")

    def another_shell(self) -> Shell:
        """A second terminal of root on the same machine; prompts that a recording shows are none of its own."""
        enter = ["nsenter", "--target", str(self._inside), "--mount", "--net", "--pid", "--wdns=/root", "--"]
        clean = ["env", "-i", "HOME=/root", "TERM=xterm", "LANG=C.UTF-8", "PATH=/usr/sbin:/usr/bin", f"PS1={PROMPT}"]
        shell = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
        return Shell(self._stack.enter_context(Terminal([*enter, *clean, *shell], columns=200)), PROMPT)

    def processes(self) -> list[str]:
        """What runs in it but its shells, by command line."""
        done = subprocess.run(
            ["nsenter", "--target", str(self._inside), "--mount", "--pid", "--", "ps", "-eo", "args="],
            capture_output=True,
            text=True,
            check=True,
        )
        return [line for line in done.stdout.splitlines() if not line.startswith(("bash", "ps ", "nsenter"))]


def _only_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    deadline = time.monotonic() + SECONDS
    while not (found := children.read_text(encoding="ascii").split()):
        assert time.monotonic() < deadline, "the sandbox has no first process"
        time.sleep(0.01)
    return int(found[0])
