from sqlmodel import SQLModel

from broker.app import tables


def test_every_store_is_registered() -> None:
    registered = {table.__tablename__ for table in tables.ALL}
    of_the_product = {name for name in SQLModel.metadata.tables if not name.startswith("test_")}
    assert registered == of_the_product
