from pathlib import Path

from broker.recordings.retention_model import SessionWords
from broker.sessions.words import SessionWording
from tests.unit.broker.sessions.plant import a_plant


def test_the_words_of_sessions_that_exist(tmp_path: Path) -> None:
    plant = a_plant(tmp_path)
    grant = plant.a_grant()
    admitted = plant.admitted(grant)
    wording = SessionWording(plant.world.people, plant.world.targets)
    with plant.world.database.reading() as session:
        words = wording.words_within(session, {admitted.session_id, "ses_00000000000000000000000000"})
    assert words == {admitted.session_id: SessionWords(grant.id, plant.engineer.display_name, plant.target.name)}
    plant.world.database.close()
