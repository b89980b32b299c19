"""Which requests may reach the target, and what the target is asked first."""

import pytest

from broker.policy.command_rules import CommandRules, linux_default
from broker.policy.file_rules import FileAction, FileRules
from broker.protocols.ssh.sftp_judge import Answer, Judged, Question, action_of, describe, judge_request
from broker.protocols.ssh.sftp_transfer import OpenFile
from broker.protocols.ssh.sftp_wire import OpenFlag, Request, Status, Type

BOTH = frozenset({"file_upload", "file_download"})
RULES = FileRules(BOTH, linux_default())
MISSING = Answer(Status.NO_SUCH_FILE)


def judged(
    request: Request,
    *answers: Answer,
    files: tuple[OpenFile, ...] = (),
    rules: FileRules = RULES,
    made: frozenset[str] = frozenset(),
) -> tuple[Judged, list[Question]]:
    asked: list[Question] = []
    asking = judge_request(request, files, rules, made)
    left = list(answers)
    try:
        asked.append(next(asking))
        while True:
            asked.append(asking.send(left.pop(0)))
    except StopIteration as done:
        assert not left
        return done.value, asked


def at(path: bytes) -> Answer:
    return Answer(Status.OK, path)


def remove(path: bytes) -> Request:
    return Request(Type.REMOVE, 1, paths=(path,))


def put(path: bytes, flags: int = OpenFlag.WRITE | OpenFlag.CREAT | OpenFlag.TRUNC) -> Request:
    return Request(Type.OPEN, 1, paths=(path,), flags=flags)


def test_the_folder_of_what_is_removed_is_resolved_and_its_last_part_is_not() -> None:
    verdict, asked = judged(remove(b"/tmp/link/x"), at(b"/srv/data"))
    assert asked == [Question(Type.REALPATH, b"/tmp/link")]
    assert verdict.refusal is not None
    assert verdict.refusal.rule_id == "linux.recursive-removal"
    verdict, _ = judged(remove(b"/tmp/link"), at(b"/tmp"))
    assert verdict == Judged(None, ("/tmp/link",))


@pytest.mark.parametrize("path", [b"/tmp/link/.", b"/tmp/link/..", b"/tmp/link/"])
def test_a_path_that_ends_in_no_name_is_resolved_whole(path: bytes) -> None:
    verdict, asked = judged(remove(path), at(b"/srv/data"))
    assert asked == [Question(Type.REALPATH, path)]
    assert verdict.refusal is not None


def test_the_path_as_it_was_named_counts_too() -> None:
    assert judged(remove(b"/srv/data/x"), at(b"/mnt/elsewhere"))[0].refusal is not None


def test_a_relative_path_is_what_the_target_says() -> None:
    assert judged(remove(b"x"), at(b"/srv/data"))[0].refusal is not None
    assert judged(remove(b"x"), at(b"/home/u"))[0].refusal is None


def test_what_the_target_does_not_tell_is_refused_and_what_is_not_there_it_refuses_itself() -> None:
    verdict, _ = judged(remove(b"x"), Answer(Status.FAILURE))
    assert verdict.refusal is not None
    assert verdict.refusal.rule_id == "files.unresolved"
    assert judged(remove(b"no/x"), MISSING)[0].refusal is None


def test_a_link_at_the_end_is_followed_where_the_target_follows_it() -> None:
    for request in (put(b"/tmp/l"), Request(Type.SETSTAT, 1, paths=(b"/tmp/l",))):
        answers = [at(b"/srv/data/x"), Answer(Status.OK)][: 2 if request.type == Type.OPEN else 1]
        verdict, asked = judged(request, *answers)
        assert asked[0] == Question(Type.REALPATH, b"/tmp/l")
        assert verdict.refusal is not None
    verdict, _ = judged(Request(Type.EXTENDED, 1, "lsetstat@openssh.com", (b"/tmp/l",)), at(b"/tmp"))
    assert verdict.refusal is None


def test_a_server_that_names_only_what_exists_is_asked_for_the_folder() -> None:
    verdict, asked = judged(put(b"/tmp/d/new"), MISSING, at(b"/home/u"))
    assert [question.path for question in asked] == [b"/tmp/d/new", b"/tmp/d"]
    assert verdict.paths == ("/home/u/new",)


def test_a_new_file_may_be_made_in_a_protected_folder_and_belongs_to_the_channel() -> None:
    verdict, asked = judged(put(b"/srv/data/new"), at(b"/srv/data/new"), MISSING)
    assert asked[-1] == Question(Type.LSTAT, b"/srv/data/new")
    assert verdict.refusal is None
    made = frozenset(verdict.makes)
    assert made == {"/srv/data/new"}
    assert judged(put(b"/srv/data/new"), at(b"/srv/data/new"), made=made)[0].refusal is None
    gone, _ = judged(remove(b"/srv/data/new"), at(b"/srv/data"), made=made)
    assert (gone.refusal, set(gone.gone)) == (None, {"/srv/data/new"})
    assert judged(put(b"/srv/data/old"), at(b"/srv/data/old"), Answer(Status.OK))[0].refusal is not None
    assert judged(put(b"/srv/data/old", OpenFlag.WRITE), at(b"/srv/data/old"))[0].refusal is not None


def test_only_the_name_that_the_target_tells_belongs_to_the_channel_as_made() -> None:
    # /tmp/link leads to /tmp/a/b: what is made there lies below /tmp, though the request reads as a protected file.
    path = b"/tmp/link/../../srv/data/recipe"
    verdict, _ = judged(put(path), at(b"/tmp/srv/data/recipe"), MISSING)
    assert verdict.refusal is None
    assert verdict.makes == ()
    verdict, _ = judged(put(path), MISSING, MISSING, MISSING)  # not even its folder is there: it cannot be made
    assert verdict.makes == ()


def test_a_rename_is_judged_at_both_ends() -> None:
    for request in (
        Request(Type.RENAME, 1, paths=(b"/tmp/a", b"/srv/data/b")),
        Request(Type.EXTENDED, 1, "posix-rename@openssh.com", (b"/tmp/a", b"/srv/data/b")),
    ):
        assert judged(request, at(b"/tmp"), at(b"/srv/data"), Answer(Status.OK))[0].refusal is not None
        assert judged(request, at(b"/tmp"), at(b"/srv/data"), MISSING)[0].makes == ("/srv/data/b",)
    away = Request(Type.RENAME, 1, paths=(b"/srv/data/b", b"/tmp/a"))
    assert judged(away, at(b"/srv/data"))[0].refusal is not None


def test_a_folder_is_made_and_a_protected_file_gets_no_second_name() -> None:
    verdict, _ = judged(Request(Type.MKDIR, 1, paths=(b"/srv/data/d",)), at(b"/srv/data"))
    assert (verdict.refusal, set(verdict.makes)) == (None, {"/srv/data/d"})
    link = Request(Type.EXTENDED, 1, "hardlink@openssh.com", (b"/srv/data/x", b"/tmp/y"))
    assert judged(link, at(b"/srv/data"))[0].refusal is not None
    assert judged(Request(Type.SYMLINK, 1, paths=(b"/srv/data", b"/tmp/l")))[0].refusal is None


def test_attributes_through_a_handle_are_judged_by_its_path_unless_it_was_opened_to_change() -> None:
    request = Request(Type.FSETSTAT, 1, handles=(b"h",))
    read = OpenFile("/srv/data/x", OpenFlag.READ)
    assert judged(request, at(b"/srv/data/x"), files=(read,))[0].refusal is not None
    assert judged(request, files=(OpenFile("/srv/data/new", OpenFlag.WRITE),))[0].refusal is None


def test_nothing_is_asked_when_nothing_is_protected_or_nothing_is_changed() -> None:
    bare = FileRules(BOTH, CommandRules("1"))
    assert judged(remove(b"/x"), rules=bare) == (Judged(None, ("/x",)), [])
    assert judged(Request(Type.OPEN, 1, paths=(b"/srv/data/x",), flags=1))[1] == []


@pytest.mark.parametrize("path", [b"/tmp/x\0/srv", b"/" + b"x" * 5000])
def test_what_is_no_path_is_refused(path: bytes) -> None:
    verdict, asked = judged(remove(path))
    assert verdict.refusal is not None
    assert asked == []


def test_opening_to_read_and_write_needs_both_directions() -> None:
    both = put(b"/tmp/x", OpenFlag.READ | OpenFlag.WRITE)
    up_only = FileRules(frozenset({"file_upload"}), CommandRules("1"))
    assert judged(both, rules=up_only)[0].refusal is not None
    assert judged(put(b"/tmp/x"), rules=up_only)[0].refusal is None


def test_flags_that_change_a_file_make_an_opening_an_upload() -> None:
    for flag in (OpenFlag.WRITE, OpenFlag.APPEND, OpenFlag.CREAT, OpenFlag.TRUNC):
        assert action_of(put(b"/x", OpenFlag.READ | flag)) is FileAction.UPLOAD
    assert action_of(put(b"/x", OpenFlag.READ)) is FileAction.DOWNLOAD
    assert action_of(Request(Type.EXTENDED, 1, "statvfs@openssh.com", (b"/x",))) is FileAction.LOOK


def test_a_request_is_described_by_what_it_does_and_to_what() -> None:
    assert describe(remove(b"/srv/data/x"), ()) == "sftp: remove /srv/data/x"
    assert describe(Request(Type.WRITE, 1, handles=(b"h",)), (OpenFile("/x"),)) == "sftp: upload /x"
    assert describe(Request(Type.EXTENDED, 1, "md5-hash", known=False), ()) == "sftp: md5-hash"
    assert describe(Request(21, 1, known=False), ()) == "sftp: request 21"
