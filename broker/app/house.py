"""The control plane as one value: every service, and what the processes around it need of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from broker.access_requests import api as access_requests_api
from broker.access_requests.service import AccessRequestService
from broker.adapters.db.database import Database
from broker.adapters.opener import Opener
from broker.app import set_up
from broker.app.layout import Layout
from broker.audit import api as audit_api
from broker.audit.health import TrailHealth
from broker.audit.reactions import Reactions
from broker.audit.witness import Witness
from broker.boundary import api as boundary_api
from broker.boundary.service import BoundaryService
from broker.devices import api as devices_api
from broker.devices.service import DeviceService
from broker.grants import api as grants_api
from broker.grants.service import GrantService
from broker.identities import api as identities_api
from broker.identities.access import PlantAccess, VendorAccess
from broker.identities.confirmation import ConfirmationService
from broker.identities.model import VendorWelcome
from broker.identities.service import PeopleService
from broker.identities.sign_in import SignInService
from broker.kernel.clock import Clock, milliseconds
from broker.knock_link.facts import Knocks
from broker.knock_link.service import KnockLinkService
from broker.knock_link.sources import SourceWatch
from broker.receipts import api as receipts_api
from broker.receipts.service import Receipts
from broker.recordings import api as recordings_api
from broker.recordings import replay_api, retention_api, unmask_api
from broker.recordings.copying import Copying
from broker.recordings.forecasting import Forecasting
from broker.recordings.holding import Holding
from broker.recordings.purging import Purging
from broker.recordings.removal import Removals
from broker.recordings.replaying import Replaying
from broker.recordings.service import RecordingService
from broker.recordings.unmasking import Unmasking
from broker.sessions import api as sessions_api
from broker.sessions import probe_api
from broker.sessions.authority import AuthorityServer
from broker.sessions.live import Door, LiveSessions
from broker.sessions.probing import TargetProbes
from broker.sessions.reports import GatewayReports
from broker.sessions.service import SessionsService
from broker.sessions.watching import Watching
from broker.targets import api as targets_api
from broker.targets.service import TargetService
from broker.vault import api as vault_api
from broker.vault.service import VaultService


@dataclass(frozen=True)
class House:
    """Every service of one site, built by `broker.app.wiring`."""

    clock: Clock
    database: Database
    reactions: Reactions
    trail: TrailHealth
    witness: Witness
    layout: Layout
    opener: Opener
    people: PeopleService
    confirmation: ConfirmationService
    sign_in: SignInService
    devices: DeviceService
    targets: TargetService
    vault: VaultService
    boundary: BoundaryService
    requests: AccessRequestService
    grants: GrantService
    recordings: RecordingService
    replaying: Replaying
    holding: Holding
    purging: Purging
    removals: Removals
    copying: Copying | None
    forecasting: Forecasting
    sessions: SessionsService
    live: LiveSessions
    watching: Watching
    reports: GatewayReports
    receipts: Receipts
    knocks: Knocks
    sources: SourceWatch
    probes: TargetProbes
    knock_link: KnockLinkService
    authority: AuthorityServer
    console_url: str

    def plant_routers(self) -> list[APIRouter]:
        """The routes of administrators and auditors."""
        access = PlantAccess(self.sign_in)
        read_audit = access.requires("audit.event.read")
        return [
            identities_api.plant_router(self.people, self.confirmation, self.sign_in, access, self.console_url),
            devices_api.plant_router(self.devices, access),
            targets_api.plant_router(self.targets, access),
            vault_api.plant_router(self.vault, access),
            access_requests_api.plant_router(self.requests, access),
            grants_api.plant_router(self.grants, access),
            sessions_api.plant_router(self.sessions, self.live, self.watching, access),
            receipts_api.plant_router(self.receipts, access),
            probe_api.plant_router(self.probes, access),
            recordings_api.plant_router(self.recordings, access),
            replay_api.plant_router(self.replaying, access),
            retention_api.plant_router(
                self.holding, self.purging, self.removals, self.forecasting, self.people, access
            ),
            unmask_api.plant_router(Unmasking(self.database, self.clock, self.recordings), access),
            boundary_api.plant_router(self.boundary, access),
            set_up.plant_router(self.database, self.clock, access),
            audit_api.plant_router(self.database, self.clock, read_audit, access.requires("audit.state.read")),
        ]

    def vendor_routers(self) -> list[APIRouter]:
        """The routes of vendors' engineers."""
        access = VendorAccess(self.sign_in)
        return [
            identities_api.vendor_router(self.people, self.sign_in, access, self.welcome),
            devices_api.vendor_router(self.devices, access, self.knock_link.tell),
            targets_api.vendor_router(self.targets, access),
            access_requests_api.vendor_router(self.requests, access, self.grants.ids_by_request),
            grants_api.vendor_router(self.grants, access),
            receipts_api.vendor_router(self.receipts, access),
        ]

    def welcome(self) -> VendorWelcome:
        """What a client learns of the site when its engineer signs in."""
        facts, now = self.devices.facts, self.clock.now()
        return VendorWelcome(
            site_name=facts.name,
            ssh_domain=facts.ssh_domain,
            host_ca=facts.host_ca,
            host_key_alias=facts.host_key_alias,
            server_time_ms=milliseconds(now),
            day_keys=tuple((one.day, one.key) for one in self.devices.day_keys(now)),
        )

    def jobs(self) -> Mapping[str, Callable[[], object]]:
        """The periodic work, by name."""
        return {
            "see whether the trail can be written": self.trail.probe,
            "deliver events": self.reactions.deliver_pending,
            "lapse requests": self.requests.lapse_overdue,
            "expire grants": self.grants.expire_over,
            "forget ended sign-ins": self.sign_in.forget_ended,
            "close overdue sessions": self.reports.close_overdue,
            "enter missing receipts": self.receipts.enter_missing,
            "lapse purges": self.purging.lapse_overdue,
            "remove what was destroyed": self.removals.remove_waiting,
            "look ahead at the room for recordings": self.forecasting.watch,
            "prepare replays": self.replaying.prepare,
            "answer for silent gateways": self._answer_for_silent_gateways,
            "restate revocations": self._restate_revocations,
            "witness the trail": self.witness.keep,
        }

    def _restate_revocations(self) -> None:
        """A reboot or a rule set that was loaded anew forgets marks; the registry does not."""
        if marks := self.devices.revoked_marks():
            self.opener.restate_revoked(marks)

    def _answer_for_silent_gateways(self) -> int:
        def reset(door: Door) -> None:
            self.opener.reset(door.number, door.address, door.port)

        return self.live.answer_for_silent_gateways(reset, self.opener.reset_egress)

    def readiness(self) -> dict[str, bool]:
        """Which needed part answers."""
        return {
            "database": self._database_answers(),
            "audit": self.trail.is_writable,
            "guard": self.knock_link.health().is_connected,
            "gateway": bool(self.authority.workers),
        }

    def witness_lag(self) -> dict[str, str | int | None]:
        """How far the witness file is behind the trail; empty while the database does not answer."""
        try:
            state = self.witness.state()
        except SQLAlchemyError:
            return {}
        return {
            "witnessed_seq": state.witnessed_seq,
            "witnessed_at": state.witnessed_at.isoformat() if state.witnessed_at is not None else None,
            "records_behind": state.records_behind,
            "problem": state.problem,
        }

    def _database_answers(self) -> bool:
        try:
            with self.database.reading() as session:
                session.connection().execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True
