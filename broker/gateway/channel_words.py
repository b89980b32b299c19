"""Pure: what the engineer is told about a channel that is refused or a command that is blocked."""

from typing import assert_never

from broker.gateway.channels import ChannelKind


def blocked_line(rule_id: str, message: str, dropped_bytes: int = 0) -> str:
    """One command that was not sent; `dropped_bytes` were typed behind it and are gone."""
    words = f"This command is blocked ({rule_id}): {message}."
    return words + " What was typed after it was dropped." if dropped_bytes else words


def not_permitted(kind: ChannelKind) -> str:
    """Why a channel of this kind is not opened."""
    match kind:
        case ChannelKind.FILE_TRANSFER:
            return "File transfer is not part of your access."
        case ChannelKind.FILE_COMMAND:
            return "Files are not copied this way here. Use scp (without -O) or sftp."
        case ChannelKind.SUBSYSTEM:
            return "This subsystem is not available here."
        case ChannelKind.SHELL:
            return "An interactive shell is not part of your access."
        case ChannelKind.EXEC:
            return "Running a command is not part of your access."
        case _:
            assert_never(kind)
