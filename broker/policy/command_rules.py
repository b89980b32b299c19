"""Pure: command rules as data (they travel inside a permit) and the judge the gateway asks before a command is sent.

This release knows one kind of rule: a program, run with one of some options, on a protected path (`rm -r /srv/data`).
The text is read by a real shell reader (`shell_words`), wrappers such as `sudo`, `env` and `sh -c` are looked through,
and the rule is applied to the resolved program and arguments, never to the raw line.

What this is not: a sandbox. What a name means on the target (alias, function, script, renamed program), what a running
program does with its input, history expansion (`!rm`) and values that only the target knows are not seen here. Full
command control (opaque commands as a class of their own, more rules, network devices and SQL) follows; only an
unprivileged account on the target is a security boundary.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from broker.policy.command_wrappers import (
    MAX_DEPTH,
    base_name,
    inner_texts,
    shell_without_script,
    sort_arguments,
    unwrap,
)
from broker.policy.shell_words import SimpleCommand, read_commands
from broker.policy.word_expansion import UNKNOWN, IncompleteText, UnreadableText, Word

LINUX_DEFAULT: Final = "linux-default"
UNREADABLE_RULE_ID: Final = "command.unreadable"


class CommandAction(StrEnum):
    ALLOW = "allow"
    BLOCK = "block"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class CommandRule:
    """Applies when one of `programs` runs with one of `options` (none listed = any) on a protected path (none = any).

    `trees` protect a folder, everything below it and every folder above it; `paths` protect only the folder itself, all
    of its entries at once (`/home/*`) and every folder above it. `options` are names without dashes (`r`, `recursive`).
    """

    rule_id: str
    action: CommandAction
    programs: tuple[str, ...]
    options: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    message: str = ""

    def __post_init__(self) -> None:
        if not self.rule_id or not self.programs or self.action is CommandAction.ALLOW:
            raise ValueError("a command rule needs an id, a program and an action that is not `allow`")
        if any(not path.startswith("/") for path in (*self.trees, *self.paths)):
            raise ValueError("a protected path is absolute")

    def to_json(self) -> dict[str, object]:
        return {
            "rule_id": self.rule_id,
            "action": self.action.value,
            "programs": list(self.programs),
            "options": list(self.options),
            "trees": list(self.trees),
            "paths": list(self.paths),
            "message": self.message,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "CommandRule":
        return cls(
            rule_id=_text(data, "rule_id"),
            action=CommandAction(_text(data, "action")),
            programs=_texts(data, "programs"),
            options=_texts(data, "options"),
            trees=_texts(data, "trees"),
            paths=_texts(data, "paths"),
            message=_text(data, "message"),
        )


@dataclass(frozen=True, slots=True)
class CommandRules:
    """The rules of one permit, in order: a block wins over a hold, else the first that applies decides."""

    policy_version: str
    rules: tuple[CommandRule, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {"policy_version": self.policy_version, "rules": [rule.to_json() for rule in self.rules]}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "CommandRules":
        """Raises ValueError for anything that is not complete: a rule that cannot be read must not be left out."""
        version, rules = data.get("policy_version"), data.get("rules", [])
        if not isinstance(version, str) or not version or not isinstance(rules, list):
            raise ValueError("command rules need a policy_version and a list of rules")
        if not all(isinstance(rule, Mapping) for rule in rules):
            raise ValueError("a command rule is an object")
        return cls(version, tuple(CommandRule.from_json(rule) for rule in rules))


@dataclass(frozen=True, slots=True)
class CommandContext:
    """`cwd`: the working folder when it is known; `continues`: a shell would ask for the rest of an unfinished line."""

    cwd: str | None = None
    continues: bool = False


@dataclass(frozen=True, slots=True)
class CommandVerdict:
    """`cwd` = the working folder afterwards, None when unknown; `incomplete` = judge again with the next line."""

    action: CommandAction
    rule_id: str | None = None
    message: str = ""
    cwd: str | None = None
    incomplete: bool = False


def linux_default(policy_version: str = f"{LINUX_DEFAULT}/1") -> CommandRules:
    """The built-in rule set `linux-default` of this release: recursive removal of protected paths is blocked."""
    return CommandRules(
        policy_version,
        (
            CommandRule(
                rule_id="linux.recursive-removal",
                action=CommandAction.BLOCK,
                programs=("rm",),
                options=("r", "R", "recursive"),
                trees=("/srv/data", "/etc", "/boot", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/dev"),
                paths=("/home", "/opt", "/root", "/var", "/var/lib", "/var/log", "/mnt", "/media"),
                message="recursive removal of a protected folder is not allowed",
            ),
        ),
    )


def judge_command(rules: CommandRules, text: str, context: CommandContext) -> CommandVerdict:
    """What to do with one command line; never raises for any text.

    A line that cannot be read is blocked when it names a program or a folder of a rule, and allowed otherwise.
    """
    if not rules.rules or not text.strip():
        return CommandVerdict(CommandAction.ALLOW, cwd=context.cwd)
    try:
        commands = read_commands(text)
    except IncompleteText as error:
        if context.continues:
            return CommandVerdict(CommandAction.ALLOW, cwd=context.cwd, incomplete=True)
        return judge_unreadable(rules, text, str(error))
    except UnreadableText as error:
        return judge_unreadable(rules, text, str(error))
    judge = _Judge(rules, context.cwd)
    try:
        judge.commands(commands, 0)
    except UnreadableText as error:
        return judge_unreadable(rules, text, str(error))
    if judge.found is None:
        return CommandVerdict(CommandAction.ALLOW, cwd=judge.cwd)
    return CommandVerdict(judge.found.action, judge.found.rule_id, judge.found.message, cwd=context.cwd)


def reads_commands(text: str) -> bool:
    """Whether a remote command is a shell that takes its commands from its input (`bash`, `sudo -i`, `sh -s`)."""
    try:
        commands = read_commands(text)
    except UnreadableText:
        return False
    return any(shell_without_script(argv) for command in commands for argv, _ in unwrap(list(command.words)))


def judge_unreadable(rules: CommandRules, text: str, why: str) -> CommandVerdict:
    """The verdict on text whose meaning is not known, for the reason `why`: a mention of a rule's subject blocks."""
    for rule in rules.rules:
        programs = "|".join(re.escape(program) for program in rule.programs)
        if re.search(rf"(?<![\w.-])({programs})(?![\w.-])", text) or any(p in text for p in (*rule.trees, *rule.paths)):
            return CommandVerdict(CommandAction.BLOCK, UNREADABLE_RULE_ID, f"the command cannot be read: {why}")
    return CommandVerdict(CommandAction.ALLOW)


class _Judge:
    def __init__(self, rules: CommandRules, cwd: str | None) -> None:
        self.rules = rules
        self.cwd = cwd
        self.found: CommandRule | None = None

    def commands(self, commands: list[SimpleCommand], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise UnreadableText("nested too deeply")
        every = [word for command in commands for word in command.words]
        before: SimpleCommand | None = None
        for command in commands:
            for argv, from_stdin in unwrap(list(command.words)):
                self._apply(argv, every if from_stdin else [])
                for text in inner_texts(argv):
                    self.commands(read_commands(text), depth + 1)
                if shell_without_script(argv):
                    fed = command.here_text
                    if command.piped and before is not None and base_name(before.words[0]) in ("echo", "printf"):
                        fed += "\n" + " ".join(word.text for word in before.words[1:])
                    if fed.strip():
                        self.commands(read_commands(fed), depth + 1)
                self._change_folder(argv)
            before = command

    def _apply(self, argv: list[Word], more: list[Word]) -> None:
        if not argv:
            return
        for rule in self.rules.rules:
            program = base_name(argv[0])
            if UNKNOWN in program or argv[0].glob:
                # Which program this is only the target knows: it counts as the one that the rule is about.
                named = any(fnmatchcase(name, program.replace(UNKNOWN, "*")) for name in rule.programs)
            else:
                named = program in rule.programs
            options, operands = sort_arguments(argv[1:])
            if not named or not _has_option(rule.options, options):
                continue
            if (rule.trees or rule.paths) and not any(self._protected(rule, word) for word in (*operands, *more)):
                continue
            if self.found is None or (self.found.action is CommandAction.HOLD and rule.action is CommandAction.BLOCK):
                self.found = rule

    def _protected(self, rule: CommandRule, word: Word) -> bool:
        parts = _resolve(word.text, self.cwd)
        if parts is None:
            return False
        wild = word.glob or UNKNOWN in word.text
        return any(_meets(parts, _split(tree), wild=wild) for tree in rule.trees) or any(
            len(parts) <= len(_split(path)) + (1 if wild and parts[-1:] and not parts[-1].strip("*.?[]!^") else 0)
            and _meets(parts, _split(path), wild=wild)
            for path in rule.paths
        )

    def _change_folder(self, argv: list[Word]) -> None:
        if not argv or base_name(argv[0]) not in ("cd", "pushd", "popd", "chdir"):
            return
        operands = [word for word in argv[1:] if not word.text.startswith("-") or word.text == "-"]
        parts = _resolve(operands[0].text, self.cwd) if len(operands) == 1 and base_name(argv[0]) != "popd" else None
        known = parts is not None and operands[0].known and not operands[0].glob and operands[0].text != "-"
        self.cwd = "/" + "/".join(parts) if known and parts is not None else None


def _split(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _resolve(text: str, cwd: str | None) -> list[str] | None:
    """The parts of an absolute path (parts that only the target knows become `*`), None when the start is not known."""
    if not text.startswith("/"):
        if cwd is None or text.startswith(("~", UNKNOWN)):
            return None
        text = cwd + "/" + text
    return _split(posixpath.normpath(text.replace(UNKNOWN, "*")))


def _meets(parts: list[str], protected: list[str], *, wild: bool) -> bool:
    """Whether a path is a protected folder, lies above it or below it."""
    pairs = zip(parts, protected, strict=False)
    return all(part == guarded or (wild and fnmatchcase(guarded, part)) for part, guarded in pairs)


def _has_option(wanted: tuple[str, ...], options: list[str]) -> bool:
    if not wanted:
        return True
    for option in options:
        if option.startswith("--"):
            name = option[2:].split("=", 1)[0]
            if name and any(len(want) > 1 and want.startswith(name) for want in wanted):
                return True
        elif UNKNOWN in option or any(want in option[1:] for want in wanted if len(want) == 1):
            return True
    return False


def _text(data: Mapping[str, object], name: str) -> str:
    value = data.get(name, "" if name == "message" else None)
    if not isinstance(value, str):
        raise ValueError(f"a command rule needs the text `{name}`")
    return value


def _texts(data: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = data.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"`{name}` of a command rule is a list of texts")
    return tuple(value)
