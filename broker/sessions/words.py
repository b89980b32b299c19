"""What a list of recordings says of their sessions: whose, where, under which grant."""

from collections.abc import Collection

from sqlmodel import Session, col, select

from broker.identities.service import PeopleService
from broker.recordings.retention_model import SessionWords
from broker.sessions.store import SessionRow
from broker.targets.service import TargetService


class SessionWording:
    """Reads sessions for the domain below that knows recordings only."""

    def __init__(self, people: PeopleService, targets: TargetService) -> None:
        self._people = people
        self._targets = targets

    def words_within(self, session: Session, session_ids: Collection[str]) -> dict[str, SessionWords]:
        """The words of those of these sessions that exist, by id, read in the caller's transaction."""
        rows = session.exec(select(SessionRow).where(col(SessionRow.id).in_(session_ids))).all()
        people = self._people.several_within(session, {row.person_id for row in rows})
        targets = self._targets.several_within(session, {row.target_id for row in rows})
        return {
            row.id: SessionWords(row.grant_id, people[row.person_id].display_name, targets[row.target_id].name)
            for row in rows
        }
