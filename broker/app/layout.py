"""Where everything of a site lies on disk, and who owns it. Standard library only: the supervisor uses it.

No two processes share a group; what one must read of another's is given by the owning group of a folder (recordings:
written by the gateway, readable by control) or by a folder that everybody may read (public halves of keys).
"""

from dataclasses import dataclass
from pathlib import Path

from broker.app.settings import Settings


@dataclass(frozen=True)
class Folder:
    """A folder with its owner, owning group and mode."""

    path: Path
    uid: int
    gid: int
    mode: int


@dataclass(frozen=True)
class Layout:
    """Every path of one site."""

    state: Path
    run: Path

    @classmethod
    def of(cls, settings: Settings) -> "Layout":
        """The paths that these settings mean."""
        return cls(Path(settings.site.state_dir), Path(settings.site.run_dir))

    @property
    def public(self) -> Path:
        """Public halves of keys and the site root certificate."""
        return self.state / "public"

    @property
    def offline(self) -> Path:
        """The site root's key and the recovery key: to be moved off this machine after the set-up."""
        return self.state / "offline"

    @property
    def control(self) -> Path:
        """Database and sealed authorities of the control plane."""
        return self.state / "control"

    @property
    def gateway(self) -> Path:
        """Keys and spool of the gateway."""
        return self.state / "gateway"

    @property
    def guard(self) -> Path:
        """The guard's anti-replay state."""
        return self.state / "guard"

    @property
    def archive(self) -> Path:
        """The key with which the archive signs receipts of copies that it verified."""
        return self.state / "archive"

    @property
    def recordings(self) -> Path:
        """Recordings: the gateway writes, control reads."""
        return self.state / "recordings"

    @property
    def witness(self) -> Path:
        """Signed checkpoints of the trail, unless the settings name another file for them."""
        return self.state / "witness"

    @property
    def site_root(self) -> Path:
        """The certificate that clients pin."""
        return self.public / "site-root.pem"

    @property
    def device_authority(self) -> Path:
        """The certificate of the authority that signs devices."""
        return self.public / "device-ca.pem"

    @property
    def user_authority(self) -> Path:
        """The public key of the authority that signs SSH sessions."""
        return self.public / "ssh-user-ca.pub"

    @property
    def host_authority(self) -> Path:
        """The public key of the authority that signs the SSH door's host key."""
        return self.public / "ssh-host-ca.pub"

    @property
    def checkpoint_public(self) -> Path:
        """The public key of checkpoints."""
        return self.public / "checkpoint.pem"

    @property
    def recovery_public(self) -> Path:
        """The public key that backups are sealed to."""
        return self.public / "recovery.pem"

    @property
    def evidence_public(self) -> Path:
        """The public key with which the gateway marks broken recordings."""
        return self.public / "evidence.pem"

    @property
    def receipts_public(self) -> Path:
        """The public key of the archive's receipts; the gateway lets a recording's file go for nothing else."""
        return self.public / "receipts.pem"

    def socket(self, name: str) -> Path:
        """The path of a Unix socket."""
        return self.run / f"{name}.sock"

    def database_url(self, settings: Settings) -> str:
        """The database's address: the configured one, or SQLite here."""
        return settings.site.database_url or f"sqlite:///{self.control / 'sallyport.db'}"

    def witness_file(self, settings: Settings) -> Path:
        """Where checkpoints are added: the configured file, or one here."""
        return Path(settings.evidence.witness_file or self.witness / "checkpoints.jsonl")

    def folders(self, settings: Settings) -> tuple[Folder, ...]:
        """Every folder in the order in which it is made."""
        users = settings.users
        return (
            Folder(self.state, 0, 0, 0o755),
            Folder(self.public, 0, 0, 0o755),
            Folder(self.offline, 0, 0, 0o700),
            Folder(self.control, users.control, users.control, 0o700),
            Folder(self.gateway, users.gateway, users.gateway, 0o700),
            Folder(self.guard, users.guard, users.guard, 0o700),
            Folder(self.archive, users.archive, users.archive, 0o700),
            Folder(self.recordings, users.gateway, users.control, 0o2750),
            Folder(self.witness, users.control, users.control, 0o700),
            Folder(self.run, 0, 0, 0o755),
        )
