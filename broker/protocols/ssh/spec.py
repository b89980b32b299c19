"""What SSH is to the rest of the broker."""

from broker.gateway.contract import ChannelKind, ProtocolSpec
from broker.protocols.ssh.options import OPTIONS

SPEC = ProtocolSpec(
    name="ssh",
    title="SSH",
    door=2,
    default_port=22,
    channels=(ChannelKind.SHELL.value, ChannelKind.EXEC.value),
    listener="broker.protocols.ssh.listener:SshListener",
    options=OPTIONS,
)
