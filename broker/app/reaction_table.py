"""The one list of who reacts to what happens, across the domains."""

from broker.access_requests.events import AccessRequestApproved
from broker.app.house import House
from broker.audit.model import AuditEvent
from broker.devices.events import (
    DeviceEnrolled,
    DeviceInvited,
    DevicePolicyChanged,
    DeviceRenewed,
    DeviceRenewing,
    DeviceResumed,
    DeviceRetired,
    DeviceSuspended,
    DeviceTrusted,
    InviteBurnt,
    SiteKeyRotated,
)
from broker.grants.events import GrantExpired, GrantFinished, GrantIssued, GrantRevoked
from broker.identities.events import PersonReset, PersonSuspended, SignedIn, SignInMoved
from broker.kernel.ids import is_id
from broker.knock_link.events import KnockAccepted, KnockSourceShared
from broker.knock_link.sources import SharedSource
from broker.recordings.events import PurgeConfirmed, RecordingPurged
from broker.sessions import rules as session_rules
from broker.sessions.events import ConnectionRefused, SessionCutOnHost, SessionEnded, SessionEndOrdered
from broker.sessions.model import OrderKind
from broker.targets.events import TargetEndpointChanged, TargetRetired
from broker.vault.events import CredentialPut

_ORDERLY_END_SECONDS = 5
_LONGEST_WAY = 86_400


def subscribe(house: House) -> None:
    """The reaction table of the product: every line is idempotent, because the outbox may deliver twice."""
    on = house.reactions.subscribe

    def push(_event: AuditEvent) -> None:
        house.knock_link.push()

    def shut_out(event: DeviceSuspended | DeviceRetired) -> None:
        house.knock_link.revoke(event.subject)
        house.sessions.end_sessions_of_device(event.subject, session_rules.DEVICE_NOT_TRUSTED)
        house.opener.revoke(house.devices.get(event.subject).mark)

    def close_way(event: SessionEnded) -> None:
        way = house.sessions.ways.without_use(event.subject)
        if way is not None:
            house.opener.end_egress(*way)
        elif (shorter := house.sessions.ways.in_use(event.subject)) is not None:
            open_way(*shorter)

    def open_way(address: str, port: int, seconds: int) -> None:
        # Whoever ends at its deadline says so to its peer, which takes a moment longer than the permit.
        house.opener.allow_egress(address, port, min(seconds + _ORDERLY_END_SECONDS, max(seconds, _LONGEST_WAY)))

    def close_door(event: SessionEndOrdered) -> None:
        if event.order == OrderKind.CUT.value:
            door = house.live.door_of(event.subject)
            house.opener.close_door(door.number, door.address)

    def leave_target(event: TargetEndpointChanged) -> None:
        house.sessions.end_sessions_of_target(event.subject, "target_changed")
        # Sessions that end now look for the way where the target is; nothing leads to where it was.
        if not house.sessions.ways.leads_to(event.address_before, event.port_before):
            house.opener.end_egress(event.address_before, event.port_before)

    def give_up_target(event: TargetRetired) -> None:
        house.sessions.end_sessions_of_target(event.subject, "target_retired")
        house.grants.revoke_of_target(event.actor, event.subject)
        house.vault.destroy_credentials_of(event.actor, event.subject)
        if not house.sessions.ways.leads_to(event.address, event.port):
            house.opener.end_egress(event.address, event.port)

    def drop_credential(event: CredentialPut) -> None:
        if event.replaces is not None:
            house.sessions.end_sessions_with_credential(event.replaces, "credential_changed")

    def follow_device(event: SignedIn | SignInMoved) -> None:
        if event.device_id is not None:
            house.sessions.end_sessions_from_elsewhere(event.device_id, event.source, "source_changed")

    def follow_knock(event: KnockAccepted) -> None:
        # A knock that is told late must not end what the device has begun since, from where it is now.
        knock = house.knocks.find(event.knock_id)
        if knock is not None:
            house.sessions.end_sessions_from_elsewhere(event.subject, event.address, "source_changed", before=knock.at)

    def tell_shared(found: SharedSource | None) -> None:
        if found is not None:
            with house.database.unit_of_work() as unit:
                unit.emit(
                    KnockSourceShared(
                        actor="system:knocks",
                        subject="site",
                        address=found.address,
                        devices=found.devices,
                        strangers=found.strangers,
                    )
                )

    def note_source(event: KnockAccepted) -> None:
        if is_id("dev", event.subject):
            owner = house.devices.get(event.subject).person_id
            tell_shared(house.sources.knocked(event.address, event.subject, owner, house.clock.now()))

    def note_stranger(event: ConnectionRefused) -> None:
        tell_shared(house.sources.refused(event.source, event.reason, house.clock.now()))

    on(RecordingPurged, lambda event: house.replaying.forget(event.subject))
    on(PurgeConfirmed, lambda _event: house.removals.remove_waiting())
    on(KnockAccepted, follow_knock)
    on(KnockAccepted, note_source)
    on(ConnectionRefused, note_stranger)
    house.sessions.ways.on_lease(open_way)
    on(AccessRequestApproved, lambda event: house.grants.issue(event.subject))
    for changes_the_roster in (
        DeviceInvited,
        DeviceEnrolled,
        InviteBurnt,
        DeviceTrusted,
        DeviceRenewing,
        DeviceRenewed,
        DevicePolicyChanged,
        SiteKeyRotated,
        GrantIssued,
        GrantRevoked,
        GrantExpired,
        GrantFinished,
        PersonSuspended,
        PersonReset,
    ):
        on(changes_the_roster, push)
    on(DeviceSuspended, shut_out)
    on(DeviceRetired, shut_out)
    on(DeviceResumed, lambda event: house.opener.unrevoke(house.devices.get(event.subject).mark))
    on(DeviceResumed, lambda event: house.grants.revoke_unless_another_approved(event.subject))
    on(DeviceResumed, push)
    on(SessionEnded, close_way)
    on(SessionCutOnHost, lambda event: house.live.give_up_grant(event.subject, event.reason))
    on(PersonSuspended, lambda event: house.sessions.end_sessions_of_person(event.subject, "person_suspended"))
    on(PersonReset, lambda event: house.sessions.end_sessions_of_person(event.subject, "person_reset"))
    on(TargetEndpointChanged, leave_target)
    on(TargetRetired, give_up_target)
    on(CredentialPut, drop_credential)
    on(SignedIn, follow_device)
    on(SignInMoved, follow_device)
    on(GrantRevoked, lambda event: house.sessions.end_sessions_of_grant(event.subject, "grant_revoked"))
    on(GrantFinished, lambda event: house.sessions.end_sessions_of_grant(event.subject, "grant_finished"))
    on(GrantExpired, lambda event: house.sessions.end_sessions_of_grant(event.subject, "grant_expired"))
    # Last, so that a firewall writer that does not answer keeps nothing else waiting.
    on(SessionEndOrdered, close_door)
