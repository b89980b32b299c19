"""Command rules: what is blocked, what is let through, and that no text can make the judge fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.policy.command_rules import (
    UNREADABLE_RULE_ID,
    CommandAction,
    CommandContext,
    CommandRule,
    CommandRules,
    CommandVerdict,
    judge_command,
    linux_default,
    reads_commands,
)

RULES = linux_default()


def judge(text: str, cwd: str | None = None, *, continues: bool = False) -> CommandVerdict:
    return judge_command(RULES, text, CommandContext(cwd=cwd, continues=continues))


BLOCKED = r"""
rm -rf /srv/data
rm -r -f /srv/data/x
/bin/rm -fr /srv/data
rm /srv/data -rf
rm --recursive --force /srv/data
rm --rec /srv/data/
rm -Rf -- /srv/data/a/b
rm -rf /srv//data/./x/../
rm -rf /srv
rm -rf /
rm -rf /*
rm -rf /srv/*
rm -rf /srv/d?ta
rm -rf /home/*
"rm" -rf '/srv/data'
r''m -rf "/srv/da"ta
r\m -rf /srv/data
$'\x72m' -rf $'/srv/\144ata'
{rm,-rf,/srv/data}
/bin/r[m] -rf /srv/data
rm${IFS}-rf${IFS}/srv/data
x=rm; $x -rf /srv/data
d=/srv/data && rm -rf "$d"
rm -rf /srv/data/$USER
$NOTHING -rf /srv/data
sudo rm -rf /srv/data
sudo -u root -- rm -rf /srv/data
env -i A=b nohup nice -n 5 rm -rf /srv/data
timeout -s KILL 10 rm -rf /srv/data
A=b rm -rf /srv/data
date; rm -rf /srv/data
true && rm -rf /srv/data
false || rm -rf /srv/data &
cat x | rm -rf /srv/data
if true; then rm -rf /srv/data; fi
for f in /srv/data; do rm -rf "$f"; done
f() { rm -rf /srv/data; }; f
(cd /srv && rm -rf data)
cd /srv/data; rm -rf *
sh -c 'rm -rf /srv/data'
sudo bash -lc "date; rm -rf /srv/data"
eval "rm -rf /srv/data"
su - plant -c 'rm -rf /srv/data'
echo "$(rm -rf /srv/data)"
echo `rm -rf /srv/data`
echo $((1 + $(rm -rf /srv/data)))
echo $( (rm -rf /srv/data) )
diff <(rm -rf /srv/data) x
find /srv/data -name '*.log' -exec rm -rf {} \;
find /srv/data -delete
find . | xargs rm -rf /srv/data
echo /srv/data | xargs rm -rf
echo 'rm -rf /srv/data' | sh
bash <<< 'rm -rf /srv/data'
busybox rm -rf /srv/data
! rm -rf /srv/data
time rm -rf /srv/data
rm -rf /srv/data # clean up
rm -rf /tmp/x > /srv/log 2>&1 /srv/data
""".strip().splitlines()

ALLOWED = r"""
echo rm -rf /srv/data
echo 'rm -rf /srv/data'
grep -rn 'rm -rf' docs/
grep -rn "rm -rf /srv/data" /srv/data
git commit -m 'stop using rm -rf /srv/data'
man rm
ls -lR /srv/data
rm /srv/data/report.txt
rm -rf /tmp/build
rm -rf ./build
rm -rf /srv/database
rm -rf /home/me/tmp
rm -rf /var/tmp/x
cat /srv/data/rm
# rm -rf /srv/data
find /srv/data -name 'rm -rf*'
find /tmp/q -delete
cp -r /srv/data /tmp/
sh ./fix.sh
echo "unfinished
for i in 1 2 3; do echo $i; done
echo $((1<<2)) && ((x = 3 & 1))
awk '{ print $1 }' /srv/data/a
tar -C /srv/data -xzf rm.tgz
""".strip().splitlines()


@pytest.mark.parametrize("text", BLOCKED)
def test_recursive_removal_of_a_protected_folder_is_blocked_however_it_is_written(text: str) -> None:
    verdict = judge(text)
    assert (verdict.action, verdict.rule_id) == (CommandAction.BLOCK, "linux.recursive-removal")
    assert verdict.message


@pytest.mark.parametrize("text", ALLOWED)
def test_text_that_only_speaks_of_removal_is_let_through(text: str) -> None:
    assert judge(text).action is CommandAction.ALLOW


def test_here_documents_count_when_a_shell_reads_them() -> None:
    assert judge("bash <<'EOF'\nrm -rf /srv/data\nEOF").action is CommandAction.BLOCK
    assert judge("cat <<'EOF' > notes\nrm -rf /srv/data\nEOF\ndate").action is CommandAction.ALLOW
    assert judge("cat <<EOF\n$(rm -rf /srv/data)\nEOF").action is CommandAction.BLOCK
    assert judge("cat <<-EOF\n\tx\n\tEOF\nrm -rf /srv/data").action is CommandAction.BLOCK


def test_lines_of_one_text_are_all_judged() -> None:
    assert judge("date\nrm -rf \\\n  /srv/data").action is CommandAction.BLOCK


def test_a_relative_path_is_judged_against_the_known_folder() -> None:
    assert judge("rm -rf data", "/srv").action is CommandAction.BLOCK
    assert judge("rm -rf ..", "/srv/data/x").action is CommandAction.BLOCK
    assert judge("rm -rf data", "/tmp").action is CommandAction.ALLOW
    assert judge("rm -rf data").action is CommandAction.ALLOW


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("cd /srv", None, "/srv"),
        ("cd data/../x", "/srv", "/srv/x"),
        ("ls", "/srv", "/srv"),
        ("cd", "/srv", None),
        ("cd -", "/srv", None),
        ("cd $X", "/srv", None),
        ("popd", "/srv", None),
    ],
)
def test_the_verdict_tells_the_folder_after_the_command(text: str, before: str | None, after: str | None) -> None:
    assert judge(text, before).cwd == after


def test_a_line_that_cannot_be_read_is_blocked_only_when_it_touches_a_rule() -> None:
    assert judge("'rm -rf /srv/da").rule_id == UNREADABLE_RULE_ID
    assert judge("echo 'oops").action is CommandAction.ALLOW
    assert judge("format 'it").action is CommandAction.ALLOW
    assert judge("$(" * 60 + "rm").rule_id == UNREADABLE_RULE_ID
    assert judge("rm " + "{a,b}" * 40).rule_id == UNREADABLE_RULE_ID


def test_an_unfinished_line_asks_for_more_when_a_shell_would() -> None:
    verdict = judge("rm -rf \\", continues=True)
    assert verdict.incomplete
    assert verdict.action is CommandAction.ALLOW


def test_rules_survive_the_way_through_json() -> None:
    assert CommandRules.from_json(RULES.to_json()) == RULES


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"policy_version": 7, "rules": []},
        {"policy_version": "1", "rules": [1]},
        {"policy_version": "1", "rules": [{"rule_id": "a", "action": "shrug", "programs": ["rm"]}]},
        {"policy_version": "1", "rules": [{"rule_id": "a", "action": "block", "programs": []}]},
        {"policy_version": "1", "rules": [{"rule_id": "a", "action": "block", "programs": ["rm"], "trees": ["x"]}]},
    ],
)
def test_rules_that_are_not_whole_are_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        CommandRules.from_json(data)


def test_a_block_wins_over_a_hold() -> None:
    hold = CommandRule("a", CommandAction.HOLD, ("reboot",))
    block = CommandRule("b", CommandAction.BLOCK, ("reboot",), options=("f",))
    rules = CommandRules("7", (hold, block))
    assert judge_command(rules, "reboot", CommandContext()).action is CommandAction.HOLD
    assert judge_command(rules, "reboot -f", CommandContext()).rule_id == "b"


@pytest.mark.parametrize("text", ["bash", "sh -s", "sudo -i", "su", "sudo bash", "bash -x", "env bash"])
def test_a_shell_without_a_script_reads_commands(text: str) -> None:
    assert reads_commands(text)


@pytest.mark.parametrize("text", ["bash -c date", "sh x.sh", "cat", "sudo date", "echo bash", "'"])
def test_other_programs_do_not_read_commands(text: str) -> None:
    assert not reads_commands(text)


@given(st.text(alphabet="rm -f/srv/data'\"\\$(){},;|&<>`*\n#=EOF\0", max_size=60) | st.text(max_size=40))
def test_no_text_makes_the_judge_fail(text: str) -> None:
    assert judge(text).action in CommandAction


@given(st.lists(st.sampled_from(["date", "echo 'a b'", "ls /srv | wc -l", "x=1"]), max_size=4))
def test_a_removal_anywhere_in_a_list_of_commands_is_found(parts: list[str]) -> None:
    for at in range(len(parts) + 1):
        line = "; ".join([*parts[:at], "rm -rf /srv/data", *parts[at:]])
        assert judge(line).action is CommandAction.BLOCK
