"""What the client says when something is not possible: a stable code, what, why, what to do next, and an exit code.

Standard library only and light: the ssh helper imports it.
"""

from collections.abc import Mapping
from enum import IntEnum

from spa_knock.client.language import tr


class Exit(IntEnum):
    """Exit codes of `sally`. The ssh helper always leaves with 255, as ssh itself does."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_SIGNED_IN = 3
    NOT_APPROVED_YET = 4
    DENIED = 5
    OUTSIDE_WINDOW = 6
    UNREACHABLE = 7
    POSTURE = 8


EXIT_OF_CODE: Mapping[str, Exit] = {
    "usage": Exit.USAGE,
    "not_signed_in": Exit.NOT_SIGNED_IN,
    "not_approved_yet": Exit.NOT_APPROVED_YET,
    "denied": Exit.DENIED,
    "outside_window": Exit.OUTSIDE_WINDOW,
    "no_answer": Exit.UNREACHABLE,
    "site_not_proved": Exit.UNREACHABLE,
    "device_not_trusted": Exit.POSTURE,
    "not_enrolled": Exit.POSTURE,
}


class ClientError(Exception):
    """An expected "no", ready to be shown.

    `what` happened, `why`, and what to `do` next are whole sentences without a final full stop; `do` may be empty.
    None of them holds a secret. `code` is stable and decides the exit code, unless one is given (unknown codes: 1).
    """

    def __init__(self, code: str, what: str, why: str, do: str = "", *, exit_code: Exit | None = None) -> None:
        super().__init__(f"{what}: {why}")
        self.code = code
        self.what = what
        self.why = why
        self.do = do
        self.exit_code = exit_code or EXIT_OF_CODE.get(code, Exit.FAILED)

    def one_line(self) -> str:
        """All of it in one line, for ssh's standard error."""
        if self.do:
            line = tr("{what}: {why}. {do}.", what=self.what, why=self.why, do=self.do)
        else:
            line = tr("{what}: {why}.", what=self.what, why=self.why)
        return " ".join(line.split())

    def to_message(self) -> dict[str, object]:
        said = {"code": self.code, "what": self.what, "why": self.why, "do": self.do}
        return {"v": 1, "type": "failed", **said, "exit_code": int(self.exit_code)}

    @classmethod
    def from_message(cls, message: Mapping[str, object]) -> "ClientError":
        def text(name: str, default: str) -> str:
            value = message.get(name)
            return value if isinstance(value, str) and value else default

        number = message.get("exit_code")
        return cls(
            text("code", "failed"),
            text("what", tr("The agent refused")),
            text("why", tr("it gave no reason")),
            text("do", ""),
            exit_code=Exit(number) if isinstance(number, int) and number in set(Exit) else None,
        )
