"""What SSH is to the rest of the broker."""

from broker.gateway.channels import ChannelKind
from broker.gateway.spec import ProtocolSpec
from broker.policy.file_rules import FILE_DOWNLOAD, FILE_UPLOAD
from broker.protocols.ssh.options import OPTIONS

SPEC = ProtocolSpec(
    name="ssh",
    title="SSH",
    door=2,
    default_port=22,
    channels=(ChannelKind.SHELL.value, ChannelKind.EXEC.value, FILE_UPLOAD, FILE_DOWNLOAD),
    listener="broker.protocols.ssh.listener:SshListener",
    options=OPTIONS,
    key_reader="broker.protocols.ssh.key_reader:read_key",
)
