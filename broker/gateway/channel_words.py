"""Pure: what the engineer is told at the terminal.

In English and then in Chinese, in one line: a permit does not tell which of them the engineer reads.
"""

from typing import assert_never

from broker.gateway.channels import ChannelKind

GOES_ON = "The session goes on. 会话继续。"
TIME_OVER = "Your access time is over. 您的访问时间已到。"
IDLE = "Nothing was typed for too long. 太久没有输入。"
TARGET_CLOSED = "The target closed the connection. 目标关闭了连接。"
OVERFLOW = "Too much data was waiting while the session was held. 会话暂停期间积压的数据过多。"
CONTROL_AWAY = "The session is held: the broker's control is away. 会话已暂停：闸门的控制端没有响应。"
CONTROL_AWAY_TOO_LONG = "The broker's control has been away for too long. 闸门的控制端失联过久。"
NOBODY_WATCHES = (
    "Your input is held until somebody at the plant watches this session. 在工厂有人观看此会话之前，您的输入暂停。"
)
WAITS_FOR_APPROVAL = "This command waits for an approval at the plant. 此命令正在等待工厂批准。"
NOT_ADMITTED = "The session is not admitted. 会话未获准。"
_DENIALS = {
    "needs_approval": "此连接还需要批准。",
    "cut": "工厂已结束此访问。",
    "recordings_full": "闸门没有录像空间，请告知工厂。",
    "no_control": "闸门的控制端没有响应，请过一分钟再试。",
    "too_many_sessions": "闸门的会话数已满，请稍后再试。",
}


def both(english: str, chinese: str) -> str:
    """One line: the sentence, whatever words of the plant or the target it ends with, and the Chinese one after it."""
    return f"{english}{'' if english.endswith('.') else '.'} {chinese}"


def too_many_channels(most: int) -> str:
    """One session has room for so many channels."""
    return both(
        f"No more than {most} channels at a time are possible in one session", f"一个会话最多有 {most} 个通道。"
    )


def access_ended(reason: str) -> str:
    """The permit is over, for a reason of control's or none."""
    return both("Your access has ended" + (f" ({reason})" if reason else ""), "您的访问已结束。")


def cut_by_the_plant(reason: str) -> str:
    """Somebody at the plant ended the session."""
    return both("This session was ended by the plant" + (f": {reason}" if reason else ""), "工厂结束了此会话。")


def held_by_the_plant(reason: str) -> str:
    """Somebody at the plant holds the input."""
    return both("The plant holds your input" + (f": {reason}" if reason else ""), "工厂暂停了您的输入。")


def told_by_the_plant(text: str) -> str:
    """A line that somebody at the plant wrote."""
    return f"Message from the plant: {text} （工厂的消息）"


def not_recorded(reason: str) -> str:
    """Nothing passes that cannot be recorded."""
    return both(f"The recording cannot be written ({reason})", "无法写入录像。")


def greeting(account: str, target: str, minutes: int) -> str:
    """The first line of a shell."""
    return both(f"{account} on {target}; recorded; ends in {minutes} min", f"正在录像，{minutes} 分钟后结束。")


def blocked_line(rule_id: str, message: str, dropped_bytes: int = 0) -> str:
    """One command that was not sent; `dropped_bytes` were typed behind it and are gone."""
    words, chinese = f"This command is blocked ({rule_id}): {message}.", "此命令已被阻止。"
    if dropped_bytes:
        return both(f"{words} What was typed after it was dropped.", f"{chinese}其后输入的内容已丢弃。")
    return both(words, chinese)


def refused_file(rule_id: str, request: str, message: str) -> str:
    """One step of a file transfer that was not done."""
    return both(f"Refused ({rule_id}): {request}: {message}", "此文件操作已被拒绝。")


def transfer_ended(why: str) -> str:
    """A file transfer that cannot go on."""
    return both(f"This file transfer was ended: {why}", "此文件传输已被终止。")


def denial_line(code: str, message: str) -> str:
    """Why nobody is let in: the words of whoever refused, and in Chinese what the code says."""
    return both(message, _DENIALS.get(code, "访问不被允许。"))


def not_permitted(kind: ChannelKind) -> str:
    """Why a channel of this kind is not opened."""
    match kind:
        case ChannelKind.FILE_TRANSFER:
            return "File transfer is not part of your access. 您的访问不包括文件传输。"
        case ChannelKind.FILE_COMMAND:
            return "Files are not copied this way here. Use scp (without -O) or sftp. 请改用 scp（不带 -O）或 sftp。"
        case ChannelKind.SUBSYSTEM:
            return "This subsystem is not available here. 这里不提供此子系统。"
        case ChannelKind.SHELL:
            return "An interactive shell is not part of your access. 您的访问不包括交互式命令行。"
        case ChannelKind.EXEC:
            return "Running a command is not part of your access. 您的访问不包括运行单条命令。"
        case _:
            assert_never(kind)
