"""The legs of a session: what a refusal of the target carries."""

from broker.gateway.legs import TargetRefused


def test_a_refusal_has_a_code_for_the_trail_and_words_for_the_engineer() -> None:
    refusal = TargetRefused("target_offline", "The target does not answer.")
    assert (refusal.code, refusal.message, str(refusal)) == ("target_offline", *["The target does not answer."] * 2)
