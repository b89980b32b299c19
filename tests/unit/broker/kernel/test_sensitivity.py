import pytest

from broker.kernel.sensitivity import SecretText


def test_a_secret_shows_only_on_purpose() -> None:
    secret = SecretText("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "hunter2"


def test_secrets_are_not_compared_with_equality() -> None:
    with pytest.raises(TypeError, match="compare_digest"):
        _ = SecretText("a") == SecretText("a")
