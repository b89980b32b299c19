from broker.policy.model import ClientProof, LiveKnock, NotProven
from broker.sessions.admission import UNKNOWN, FactsOfConnections, Gathered, identifier_sha256
from broker.sessions.model import AdmitRequest
from tests.unit.broker.sessions.plant import SOURCE, Plant


def _gather(plant: Plant, request: AdmitRequest) -> Gathered | NotProven:
    facts = FactsOfConnections(
        people=plant.world.people,
        devices=plant.world.devices,
        targets=plant.world.targets,
        grants=plant.grants,
        audience=plant.world.authorities.audience,
    )
    with plant.world.database.reading() as session:
        return facts.gather(session, request, "prm_1")


def test_facts_name_what_the_records_and_the_proofs_say(plant: Plant) -> None:
    grant = plant.a_grant()
    gathered = _gather(plant, plant.a_client(grant).connect())
    assert isinstance(gathered, Gathered)
    facts = gathered.facts
    assert (facts.permit_id, facts.grant.grant_id, facts.grant.target_name) == ("prm_1", grant.id, plant.target.name)
    assert (facts.grant.approvals, facts.grant.zone_id) == (1, plant.target.zone_id)
    assert (facts.person.person_id, facts.person.is_active) == (plant.engineer.id, True)
    assert (facts.device.device_id, facts.device.is_trusted) == (plant.laptop.device.id, True)
    assert isinstance(facts.knock, LiveKnock)
    assert isinstance(facts.proof, ClientProof)
    assert (facts.knock.grant_id, facts.knock.address) == (grant.id, SOURCE)
    assert facts.knock.bind == facts.proof.key_sha256
    assert gathered.serial is not None


def test_a_proof_that_fails_is_a_fact_with_its_reason(plant: Plant) -> None:
    gathered = _gather(plant, plant.a_client(plant.a_grant()).connect(signed_knock=bytes(176)))
    assert isinstance(gathered, Gathered)
    assert isinstance(gathered.facts.knock, NotProven)
    assert isinstance(gathered.facts.proof, ClientProof)


def test_what_is_not_in_the_records_is_unknown(plant: Plant) -> None:
    assert _gather(plant, plant.a_client(plant.a_grant()).connect(grant_id="grt_x")) is UNKNOWN


def test_a_used_proof_is_marked_by_the_hash_of_its_session_identifier(plant: Plant) -> None:
    request = plant.a_client(plant.a_grant()).connect()
    assert len(identifier_sha256(request)) == 32
    assert identifier_sha256(request) != identifier_sha256(plant.a_client(plant.a_grant()).connect())


def test_a_retired_target_admits_nobody_also_before_its_grants_are_taken_back(plant: Plant) -> None:
    request = plant.a_client(plant.a_grant()).connect()
    plant.world.targets.retire("psn_sec", plant.target.id)
    gathered = _gather(plant, request)
    assert isinstance(gathered, NotProven)
    assert gathered.code == "targets.retired"
