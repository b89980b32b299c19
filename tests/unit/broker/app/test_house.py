import sqlalchemy.exc
import sqlalchemy.pool

from broker.app.house import House
from broker.app.layout import Layout
from broker.app.settings import Settings


def test_a_house_without_its_neighbours_is_not_ready(house: House) -> None:
    assert house.readiness() == {"database": True, "audit": True, "guard": False, "gateway": False}


def test_a_database_that_is_gone_shows(house: House) -> None:
    house.database.engine.dispose()
    house.database.engine = type(house.database.engine)(
        _broken_pool(), house.database.engine.dialect, house.database.engine.url
    )
    assert house.readiness()["database"] is False


def _broken_pool():
    def refuse() -> None:
        raise sqlalchemy.exc.OperationalError("connect", {}, Exception("no disk"))

    return sqlalchemy.pool.NullPool(refuse)


def test_every_job_can_run_on_an_empty_site(house: House) -> None:
    for job in house.jobs().values():
        job()


def test_a_client_learns_the_site_when_it_signs_in(house: House) -> None:
    welcome = house.welcome()
    assert (welcome.site_name, welcome.host_key_alias) == ("demo", "sallyport-demo")
    assert welcome.host_ca.startswith("ssh-ed25519 ")
    assert len(welcome.day_keys) == 31


def test_the_first_round_of_jobs_leaves_a_checkpoint(house: House, settings: Settings) -> None:
    house.people.first_administrator("chief")
    assert house.witness_lag()["records_behind"] == 1
    house.jobs()["witness the trail"]()
    assert Layout.of(settings).witness_file(settings).is_file()
    assert house.witness_lag()["records_behind"] == 0
