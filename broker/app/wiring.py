"""Builds the control plane."""

import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from broker.access_requests.model import Limits
from broker.access_requests.service import AccessRequestService
from broker.adapters.db.database import Database
from broker.adapters.opener import Opener
from broker.app import keys, object_store, reaction_table
from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import Settings, SettingsError
from broker.audit.health import TrailHealth
from broker.audit.reactions import Reactions
from broker.audit.store import EventAppender
from broker.audit.witness import Witness
from broker.boundary.document import settings_from_document
from broker.boundary.service import BoundaryService
from broker.boundary.settings import BoundarySettings
from broker.devices.certificates import DeviceAuthority
from broker.devices.model import Endpoint, SiteFacts
from broker.devices.service import DeviceService
from broker.grants.certificates import SshUserAuthority
from broker.grants.service import GrantService
from broker.identities.confirmation import ConfirmationService
from broker.identities.factors import Passwords
from broker.identities.service import PeopleService
from broker.identities.sign_in import SignInService
from broker.identities.throttle import Throttle
from broker.kernel.clock import SystemClock
from broker.knock_link.facts import DeviceRosterSource, Knocks
from broker.knock_link.model import RosterGrant
from broker.knock_link.service import KnockLinkService
from broker.knock_link.sources import SourceWatch
from broker.policy.rules import standard_rules
from broker.receipts.service import Receipts
from broker.recordings.forecasting import Forecasting, space_of
from broker.recordings.holding import Holding
from broker.recordings.purging import Purging, Retention
from broker.recordings.removal import Removals
from broker.recordings.replaying import Replaying
from broker.recordings.service import RecordingService
from broker.sessions.authority import AuthorityServer
from broker.sessions.live import LiveSessions
from broker.sessions.probing import TargetProbes
from broker.sessions.reports import GatewayReports
from broker.sessions.service import SessionsService
from broker.sessions.watching import Watching
from broker.sessions.words import SessionWording
from broker.targets.service import TargetService
from broker.vault.service import VaultService

_MIB = 1 << 20


def site_facts(settings: Settings, layout: Layout) -> SiteFacts:
    """What a client must know of this site."""
    root_pem = layout.site_root.read_bytes()
    vendor = settings.vendor_face
    return SiteFacts(
        name=settings.site.name,
        audience_hex=keys.audience_of(root_pem).hex(),
        root_pem=root_pem.decode("ascii"),
        vendor_face=Endpoint(vendor.host, vendor.tls_port),
        vendor_face_name=keys.vendor_face_name(settings.site.name),
        ssh=Endpoint(vendor.host, vendor.ssh_port),
        knock_host=vendor.host,
        knock_ports=tuple(vendor.knock_ports),
        ssh_domain=settings.site.ssh_domain,
        host_ca=layout.host_authority.read_text(encoding="ascii").strip(),
        host_key_alias=keys.host_key_alias(settings.site.name),
    )


def boundary_settings(settings: Settings) -> BoundarySettings | None:
    """The boundary firewall's zones and networks, when the site names them.

    Raises SettingsError when the file cannot be read, and Invalid `boundary.unfit_plan` when it is no plan.
    """
    if not settings.boundary.plan_file:
        return None
    path = Path(settings.boundary.plan_file)
    try:
        return settings_from_document(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"boundary.plan_file: {path} cannot be used: {error}") from None


@contextmanager
def opened(settings: Settings) -> Iterator[House]:
    """The control plane of this site, as the control plane's user; closed again at the end of the block."""
    layout = Layout.of(settings)
    clock = SystemClock()
    database = Database(layout.database_url(settings), EventAppender(clock))
    opener = Opener(layout.socket("opener-control"))
    try:
        house = _built(settings, layout, clock, database, opener)
        reaction_table.subscribe(house)
        yield house
    finally:
        opener.close()
        database.close()


def _built(settings: Settings, layout: Layout, clock: SystemClock, database: Database, opener: Opener) -> House:
    opened_keys = keys.open_control_keys(layout)
    sealer = opened_keys.sealer
    limits = settings.limits
    policy = replace(
        standard_rules(must_be_watched=limits.must_be_watched, hold_when_full=settings.recordings.hold_when_full),
        autonomy=timedelta(seconds=limits.autonomy_seconds),
        idle=timedelta(seconds=limits.idle_seconds),
    )
    reactions, trail = Reactions(database), TrailHealth(database, clock)
    witness = Witness(
        database,
        clock,
        site=settings.site.name,
        path=layout.witness_file(settings),
        key=opened_keys.checkpoint_key,
    )
    passwords = Passwords()
    people = PeopleService(database, clock, sealer, passwords)
    devices = DeviceService(
        database,
        clock,
        sealer,
        authority=DeviceAuthority(opened_keys.device_authority_pem, opened_keys.device_authority_key),
        facts=site_facts(settings, layout),
        site_key=opened_keys.site_key,
        owners=people,
    )
    sign_in = SignInService(database, clock, sealer, devices, passwords)
    targets = TargetService(database, clock)
    vault = VaultService(database, clock, sealer, targets)
    boundary = BoundaryService(database, targets, boundary_settings(settings))
    requests = AccessRequestService(
        database,
        clock,
        people=people,
        devices=devices,
        targets=targets,
        policy=policy,
        limits=Limits(longest=timedelta(hours=limits.grant_hours)),
    )
    grants = GrantService(
        database,
        clock,
        requests=requests,
        people=people,
        devices=devices,
        targets=targets,
        authority=SshUserAuthority.of_asyncssh(opened_keys.user_authority),
    )
    knocks = Knocks(database, devices)

    def live_grants() -> Sequence[RosterGrant]:
        return [
            RosterGrant(grant.grant_id, device_id, grant.door, grant.not_before, grant.not_after)
            for device_id, live in grants.live_grants().items()
            for grant in live
        ]

    knock_link = KnockLinkService(
        clock, DeviceRosterSource(devices, live_grants), knocks, guard_uid=settings.users.guard
    )
    archive = object_store.client_of(settings, layout)
    recordings = RecordingService(
        database,
        clock,
        recordings_dir=layout.recordings,
        unseal_private=opened_keys.recording_unseal_private,
        evidence_public=keys.evidence_public(layout),
        covering=witness.covering,
        checkpoint_public=opened_keys.checkpoint_key.public_key().public_bytes_raw(),
        store=archive,
    )
    sessions = SessionsService(
        database,
        clock,
        people=people,
        devices=devices,
        targets=targets,
        vault=vault,
        grants=grants,
        recordings=recordings,
        policy=policy,
        audience=keys.audience_of(layout.site_root.read_bytes()),
        unseal_public=opened_keys.recording_unseal_public,
        unmask_publics=tuple(bytes.fromhex(one) for one in settings.recordings.unmask_keys),
        trail=trail,
    )
    live = LiveSessions(database, clock, orders=sessions.orders, grants=grants, targets=targets)
    reports = GatewayReports(database, clock, devices, recordings, evidence_public=keys.evidence_public(layout))
    watching = Watching(live, recordings)
    authority = AuthorityServer(sessions, reports, clock, watching=watching, peer_uid=settings.users.gateway)
    probes = TargetProbes(database, clock, targets)
    probes.connect(workers=lambda: authority.workers, send=authority.order_probe, open_way=opener.allow_egress)
    reports.on_probe(probes.take)
    removals = Removals(database, clock)
    removals.connect(workers=lambda: authority.workers, send=authority.order_removal)
    reports.on_removal(removals.removal_within)
    purging = Purging(
        database,
        clock,
        people=people,
        recordings=recordings,
        words_of=SessionWording(people, targets).words_within,
        retention=Retention(
            site=settings.site.name,
            keep=timedelta(days=settings.recordings.keep_days),
            sign=opened_keys.checkpoint_key.sign,
        ),
    )
    copying = object_store.copying_of(settings, database, clock, archive, purging.keep, authority, reports)
    return House(
        clock=clock,
        database=database,
        reactions=reactions,
        trail=trail,
        witness=witness,
        layout=layout,
        opener=opener,
        people=people,
        confirmation=ConfirmationService(database, clock, Throttle()),
        sign_in=sign_in,
        devices=devices,
        targets=targets,
        vault=vault,
        boundary=boundary,
        requests=requests,
        grants=grants,
        recordings=recordings,
        replaying=Replaying(recordings, layout.control / "replay"),
        holding=Holding(database, clock),
        purging=purging,
        removals=removals,
        copying=copying,
        forecasting=Forecasting(
            database,
            clock,
            space=lambda: space_of(layout.recordings, settings.recordings.least_free_mib * _MIB),
            keep=purging.keep,
        ),
        sessions=sessions,
        live=live,
        watching=watching,
        reports=reports,
        receipts=Receipts(
            database,
            clock,
            devices=devices,
            targets=targets,
            sessions=sessions,
            recordings=recordings,
            site=keys.audience_of(layout.site_root.read_bytes()).hex(),
        ),
        knocks=knocks,
        sources=SourceWatch(),
        probes=probes,
        knock_link=knock_link,
        authority=authority,
        console_url=f"https://{settings.plant_face.host}:{settings.plant_face.port}",
    )
