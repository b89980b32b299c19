"""The algorithm lists: known to this asyncssh, GCM first, nothing old."""

import pytest
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs
from asyncssh.public_key import get_default_public_key_algs

from broker.protocols.ssh import options


@pytest.mark.parametrize(
    ("ours", "known"),
    [
        (options.KEX_ALGS, get_kex_algs()),
        (options.TARGET_KEX_ALGS, get_kex_algs()),
        (options.ENCRYPTION_ALGS, get_encryption_algs()),
        (options.MAC_ALGS, get_mac_algs()),
        (options.SIGNATURE_ALGS, get_default_public_key_algs()),
    ],
)
def test_every_algorithm_exists_and_none_is_old(ours: tuple[str, ...], known: list[bytes]) -> None:
    assert {name.encode() for name in ours} <= set(known)
    assert not [n for n in ours if "sha1" in n or "cbc" in n or "md5" in n or n.startswith("gss") or n == "ssh-rsa"]


def test_the_cheap_strong_ciphers_come_first() -> None:
    assert all("gcm" in name for name in options.ENCRYPTION_ALGS[:2])
    assert options.KEX_ALGS[0].startswith("mlkem")
