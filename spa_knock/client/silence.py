"""What lies behind a silence: a knock is never answered, so the cause is told from what this computer saw (pure).

Some things are certain (an error came back, the clock jumped); what is only likely is said as such. Whether the site
refused the knock can be read at the site alone: `sallyport knock status` names the device and the reason there.
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from spa_knock.client.errors import ClientError
from spa_knock.client.language import tr

_WINDOW_SECONDS = 30.0
_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
_FORBIDDEN = frozenset({errno.EPERM, errno.EACCES})
_RECENT_SECONDS = 900.0


@dataclass(frozen=True)
class Evidence:
    """What was seen. Error numbers are those of the sockets; None means not known.

    `clock_jump_seconds`: by how much the wall clock was set since the agent started. `last_offset_seconds`: how far it
    was off at the last sign-in. `reached_ago_seconds`: how long ago, by this clock, a door last opened; negative when
    that lies in the future.
    """

    tcp_errors: frozenset[int] = frozenset()
    udp_errors: frozenset[int] = frozenset()
    clock_jump_seconds: float = 0.0
    last_offset_seconds: float | None = None
    reached_ago_seconds: float | None = None
    same_network: bool | None = None
    udp_ports: tuple[int, ...] = ()


class Likelihood(Enum):
    """How sure a cause is."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


@dataclass(frozen=True)
class Cause:
    """One explanation: a stable code, what it says, and what to do about it."""

    code: str
    likelihood: Likelihood
    why: str
    do: str


def causes(evidence: Evidence) -> Sequence[Cause]:
    """Every explanation that the evidence leaves, the surest first."""
    found = [*_of_errors(evidence), *_of_clock(evidence)]
    ports = ", ".join(str(port) for port in evidence.udp_ports)
    known_here = evidence.same_network and (evidence.reached_ago_seconds or 1e9) < _RECENT_SECONDS
    udp = Cause(
        "udp_blocked",
        Likelihood.POSSIBLE if known_here else Likelihood.LIKELY,
        tr("the network here blocks UDP to the site")
        + ("" if known_here else tr(", or sends UDP and TCP out by different addresses"))
        + (tr("; the site was never reached from it") if evidence.same_network is False else ""),
        tr("Try another network, for example a phone's; UDP {ports} must be let out", ports=ports)
        if ports
        else tr("Try another network"),
    )
    device = Cause(
        "not_accepted",
        Likelihood.LIKELY if known_here else Likelihood.POSSIBLE,
        tr("the site no longer accepts this device, or is down")
        + (tr(": it was reached from this network some minutes ago") if known_here else ""),
        tr("Ask the plant whether this device is still trusted; 'sallyport knock status' there tells the reason"),
    )
    found += [device, udp] if known_here else [udp, device]
    order = list(Likelihood)
    return sorted(found, key=lambda cause: order.index(cause.likelihood))


def silence(what: str, evidence: Evidence) -> ClientError:
    """The silence of `what` as an error that names its likely causes."""
    found = causes(evidence)
    certain = [cause for cause in found if cause.likelihood is Likelihood.CERTAIN]
    if certain:
        return ClientError("no_answer", tr("No answer from {what}", what=what), certain[0].why, certain[0].do)
    return ClientError(
        "no_answer",
        tr("No answer from {what}", what=what),
        tr("either {causes}", causes=tr(", or ").join(cause.why for cause in found)),
        tr("Run: sally doctor"),
    )


def _of_errors(evidence: Evidence) -> list[Cause]:
    errors = evidence.tcp_errors | evidence.udp_errors
    if evidence.udp_errors & _FORBIDDEN:
        return [
            Cause(
                "local_firewall",
                Likelihood.CERTAIN,
                tr("this computer's own firewall does not let the knock out"),
                tr("Allow outgoing UDP for this program"),
            )
        ]
    if errno.ECONNREFUSED in evidence.tcp_errors:
        return [
            Cause(
                "wrong_network",
                Likelihood.CERTAIN,
                tr(
                    "something refused the connection, which the site never does: another machine answers at its "
                    "address"
                ),
                tr(
                    "Leave networks that ask for a sign-in page or intercept traffic; compare the address with the "
                    "plant"
                ),
            )
        ]
    if errno.ECONNREFUSED in evidence.udp_errors:
        return [
            Cause(
                "port_closed",
                Likelihood.CERTAIN,
                tr("a machine answered that the knock's port is closed, which the site never does"),
                tr("Compare the site's address with the plant; its firewall rules may not be loaded"),
            )
        ]
    if errors & _UNREACHABLE:
        return [
            Cause(
                "unreachable",
                Likelihood.CERTAIN,
                tr("the network says that there is no way to the site's address"),
                tr("Check the network connection, and whether a VPN is needed to reach the site"),
            )
        ]
    return []


def _of_clock(evidence: Evidence) -> list[Cause]:
    do = tr("Compare the clock with a phone, set it, and try again")
    if abs(evidence.clock_jump_seconds) > _WINDOW_SECONDS:
        why = tr(
            "this computer's clock was set by {clock_jump_seconds:+.0f} s since the last start of the agent",
            clock_jump_seconds=evidence.clock_jump_seconds,
        )
        return [Cause("clock", Likelihood.LIKELY, why, do)]
    if evidence.reached_ago_seconds is not None and evidence.reached_ago_seconds < -_WINDOW_SECONDS:
        why = tr("this computer's clock is behind the moment of its own last visit to the site")
        return [Cause("clock", Likelihood.CERTAIN, why, do)]
    why = tr("this computer's clock is more than 30 s wrong")
    if evidence.last_offset_seconds is not None:
        why += tr(
            " (at the last sign-in it was {last_offset_seconds:+.1f} s off, which was allowed for)",
            last_offset_seconds=evidence.last_offset_seconds,
        )
    return [Cause("clock", Likelihood.POSSIBLE, why, do)]
