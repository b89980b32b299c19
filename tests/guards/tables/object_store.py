"""Guards of the object store: a recording is copied, verified and locked before its file here may go."""

from tests.guards.guard import Guard

_S3 = "tests/unit/recorder/stores/test_s3.py"
_RECEIPT = "tests/unit/recorder/test_receipt.py"
_ARCHIVE = "tests/unit/broker/adapters/object_store/test_archive.py"
_SERVER = "tests/unit/broker/adapters/object_store/test_server.py"
_RELEASING = "tests/unit/broker/gateway/test_releasing.py"
_COPYING = "tests/unit/broker/recordings/test_copying.py"
_RULES = "tests/unit/spa_knock/opener/test_ruleset.py"
_CONFIG = "tests/unit/spa_knock/opener/test_config.py"

GUARDS = (
    Guard(
        promise="a lock that a store takes and does not keep is noticed",
        file="recorder/stores/s3.py",
        text="        if kept is None or not _covers(kept, lock):\n",
        without="        if kept is None and lock is None:\n",
        tests=(f"{_S3}::test_a_lock_that_the_server_takes_and_does_not_keep_is_noticed",),
    ),
    Guard(
        promise="a legal hold that a store does not keep is noticed",
        file="recorder/stores/s3.py",
        text="        if said != wanted:\n",
        without="        if False:\n",
        tests=(f"{_S3}::test_a_lock_that_the_server_takes_and_does_not_keep_is_noticed",),
    ),
    Guard(
        promise="nothing goes into a bucket that cannot lock objects",
        file="recorder/stores/s3.py",
        text='        if versions.get("Status") != "Enabled" or enabled != "Enabled":\n',
        without="        if enabled is False:\n",
        tests=(f"{_S3}::test_a_bucket_that_keeps_no_versions_is_refused",),
    ),
    Guard(
        promise="an object that lacks a part is noticed at once",
        file="recorder/stores/s3.py",
        text="        if made.size != upload.size:\n",
        without="        if False:\n",
        tests=(f"{_S3}::test_an_object_that_lacks_a_part_is_noticed_at_once",),
    ),
    Guard(
        promise="a receipt is the archive's alone to sign",
        file="recorder/receipt.py",
        text="    check_signature(public, signature, _LABEL + receipt.canonical())\n",
        without="",
        tests=(f"{_RECEIPT}::test_another_keys_receipt_is_none", f"{_RECEIPT}::test_a_changed_field_is_noticed"),
    ),
    Guard(
        promise="a receipt of a lock below 180 days cannot be made nor read",
        file="recorder/receipt.py",
        text="        if self.locked_until_ms - self.verified_at_ms < LEAST_KEPT_MS:\n",
        without="        if False:\n",
        tests=(f"{_RECEIPT}::test_no_archive_says_that",),
    ),
    Guard(
        promise="a copy that is not the recording gets no receipt",
        file="broker/adapters/object_store/archive.py",
        text="        if header is None or header.recording_id != stored.recording_id or report.state not in {wanted, State.SEALED}:\n",
        without="        if header is None:\n",
        tests=(f"{_ARCHIVE}::test_another_recording_in_its_place_gets_no_receipt",),
    ),
    Guard(
        promise="a process that was killed goes on with its upload and doubles nothing",
        file="broker/adapters/object_store/archive.py",
        text="                if len(versions) >= attempt:\n",
        without="                if len(versions) > 100:\n",
        tests=(f"{_ARCHIVE}::test_an_answer_that_was_lost_doubles_nothing",),
    ),
    Guard(
        promise="an object goes only with a tombstone that the site signed",
        file="broker/adapters/object_store/archive.py",
        text="            recording_id = read_line(line, self._tombstone_public).recording_id\n",
        without="            recording_id = read_line(line, None).recording_id\n",
        tests=(f"{_ARCHIVE}::test_an_object_goes_only_with_a_tombstone_of_the_site",),
    ),
    Guard(
        promise="nobody but control and root asks the archive",
        file="broker/adapters/object_store/server.py",
        text="                if peer_uid(sock) not in self._peers:\n",
        without="                if peer_uid(sock) == -1:\n",
        tests=(f"{_SERVER}::test_nobody_but_its_peers_is_answered",),
    ),
    Guard(
        promise="the gateway lets no file go without the archive's receipt",
        file="broker/gateway/releasing.py",
        text="            receipt = read_line(line[: LINE_BYTES + 1], self._key())\n",
        without="            receipt = read_line(line[: LINE_BYTES + 1], b'')\n",
        tests=(f"{_RELEASING}::test_a_receipt_of_these_bytes_lets_the_file_go_once",),
    ),
    Guard(
        promise="the gateway lets a file go only when these very bytes came back",
        file="broker/gateway/releasing.py",
        text="            if digest.hexdigest() != receipt.sha256:\n",
        without="            if False:\n",
        tests=(
            f"{_RELEASING}::test_a_copy_of_other_bytes_keeps_the_file",
            f"{_RELEASING}::test_a_file_that_was_changed_after_its_copy_stays",
        ),
    ),
    Guard(
        promise="the gateway lets no file go whose copy is locked for too short",
        file="broker/gateway/releasing.py",
        text="    if receipt.locked_until_ms - max(header.created_at_ms, ended_ms) < LEAST_KEPT_MS:\n",
        without="    if False:\n",
        tests=(f"{_RELEASING}::test_a_lock_that_ends_before_180_days_from_the_files_own_end_keeps_the_file",),
    ),
    Guard(
        promise="control believes only the archive's own receipt of this object",
        file="broker/recordings/copying.py",
        text="        if stored is None or told != (stored.recording_id, stored.size, stored.version):\n",
        without="        if stored is None:\n",
        tests=(f"{_COPYING}::test_a_receipt_of_another_object_lets_nothing_go",),
    ),
    Guard(
        promise="the database lets no file go without a receipt",
        file="broker/recordings/copy_store.py",
        text="        refuses_when=\"NEW.state IN ('verified', 'released') AND \"\n",
        without="        refuses_when=\"1 = 2 AND NEW.state IN ('verified', 'released') AND \"\n",
        tests=(f"{_COPYING}::test_the_database_lets_no_file_go_without_a_receipt_and_no_receipt_change",),
    ),
    Guard(
        promise="a hold reaches the object before the file may go",
        file="broker/recordings/copy_store.py",
        text="            or_(col(CopyRow.is_held).is_(True), col(CopyRow.recording_id).not_in(_HELD)),\n",
        without="",
        tests=(f"{_COPYING}::test_a_hold_is_the_objects_legal_hold_before_the_file_may_go",),
    ),
    Guard(
        promise="a file stays here for the days that the site keeps it",
        file="broker/recordings/copy_store.py",
        text="            col(RecordingRow.closed_at) <= ended_before,\n",
        without="",
        tests=(f"{_COPYING}::test_a_file_may_go_only_after_the_days_that_it_is_kept_here",),
    ),
    Guard(
        promise="a store that is away is tried later and later",
        file="broker/recordings/copying.py",
        text="        if self._try_at is not None and now < self._try_at:\n",
        without="        if False:\n",
        tests=(f"{_COPYING}::test_a_store_that_is_away_is_told_once_and_tried_later_and_later",),
    ),
    Guard(
        promise="only the archive reaches the store of objects, and nothing else",
        file="spa_knock/opener/ruleset.py",
        text='    return f"meta skuid {archive.uid} {family} daddr {archive.address} tcp dport {archive.port} accept"\n',
        without='    return f"meta skuid {archive.uid} accept"\n',
        tests=(f"{_RULES}::test_the_archive_reaches_its_one_endpoint_and_nothing_else_also_on_loopback",),
    ),
    Guard(
        promise="the archive is no other process's user",
        file="spa_knock/opener/config.py",
        text="    if uid in (uids.opener, uids.guard, uids.gateway, uids.control):\n",
        without="    if uid == 0:\n",
        tests=(f"{_CONFIG}::test_an_archive_that_could_reach_more_is_refused",),
    ),
)
