from broker.policy.model import Effect
from broker.policy.rules import standard_rules


def test_the_standard_policy_allows_ssh_after_one_approval_and_nothing_else() -> None:
    rules = standard_rules()
    rule = rules.rule_for(protocol="ssh", zone_id="zon_1", target_id="tgt_1")
    assert rule is not None
    assert (rule.effect, rule.approvals, rule.channels) == (
        Effect.ALLOW,
        1,
        ("shell", "exec", "file_upload", "file_download"),
    )
    assert rules.rule_for(protocol="rdp", zone_id="zon_1", target_id="tgt_1") is None


def test_the_standard_policy_blocks_recursive_removal() -> None:
    assert [rule.rule_id for rule in standard_rules().commands["ssh"].rules] == ["linux.recursive-removal"]
