"""SSH's settings: what a target may set, and the algorithm lists of both legs (trimmed, strongest and cheapest first).

AES-GCM stands before ChaCha20 because it costs half the processor time here. Group 14 with SHA-1, `ssh-rsa` signatures,
CBC, SHA-1 MACs and compression are not offered at all.
"""

from typing import Final

from broker.gateway.spec import OptionSpec

OPTIONS: Final[tuple[OptionSpec, ...]] = ()

SOFTWARE_NAME: Final = "Sallyport"
USERNAME: Final = "sallyport"  # the name that every engineer may sign in with; the permit knows the account

KEX_ALGS: Final = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group-exchange-sha256",
)
TARGET_KEX_ALGS: Final = (*KEX_ALGS, "diffie-hellman-group14-sha256")
ENCRYPTION_ALGS: Final = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes128-ctr",
)
MAC_ALGS: Final = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
SIGNATURE_ALGS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)

WINDOW_BYTES: Final = 2 * 1024 * 1024
PACKET_BYTES: Final = 32 * 1024
READ_BYTES: Final = 64 * 1024  # one turn of the loop for one connection: keeps a flood from starving the others
LOGIN_SECONDS: Final = 30
CONNECT_SECONDS: Final = 10
KEEPALIVE_SECONDS: Final = 15
KEEPALIVE_COUNT: Final = 3
MAX_AUTH_TRIES: Final = 8
