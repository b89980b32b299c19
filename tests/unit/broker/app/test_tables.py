from sqlmodel import SQLModel

from broker.app import tables


def test_every_store_is_registered() -> None:
    registered = {table.__tablename__ for table in tables.ALL}
    assert registered == set(SQLModel.metadata.tables)
