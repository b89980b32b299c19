import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from broker.adapters.db.guards import Guard, guard_table

NO_THREES = Guard("no_threes", "numbers", "INSERT", "NEW.number = 3", "no threes")


def _numbers() -> sa.Table:
    return sa.Table("numbers", sa.MetaData(), sa.Column("number", sa.Integer))


def test_a_guarded_table_refuses_the_row_and_takes_others() -> None:
    engine, table = sa.create_engine("sqlite://"), _numbers()
    guard_table(table, NO_THREES)
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(table.insert().values(number=2))
    with pytest.raises(IntegrityError, match="no threes"), engine.begin() as connection:
        connection.execute(table.insert().values(number=3))
    engine.dispose()


def test_a_guard_that_is_removed_refuses_nothing() -> None:
    engine, table = sa.create_engine("sqlite://"), _numbers()
    guard_table(table, NO_THREES)
    table.create(engine)
    with engine.begin() as connection:
        for statement in NO_THREES.removal("sqlite"):
            connection.exec_driver_sql(statement)
        connection.execute(table.insert().values(number=3))
    engine.dispose()


def test_words_that_would_end_the_statement_are_refused() -> None:
    for words in ("it's", 'a "b"', "100%", "$$"):
        with pytest.raises(ValueError, match="quotes"):
            Guard("x", "numbers", "INSERT", "true", words)


def test_another_kind_of_database_has_no_guards() -> None:
    with pytest.raises(ValueError, match="mysql"):
        NO_THREES.creation("mysql")
    with pytest.raises(ValueError, match="mysql"):
        NO_THREES.removal("mysql")


def test_rows_can_be_kept_from_being_deleted_and_others_still_are() -> None:
    engine, table = sa.create_engine("sqlite://"), _numbers()
    guard_table(table, Guard("keep_threes", "numbers", "DELETE", "OLD.number = 3", "threes stay"))
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), [{"number": 2}, {"number": 3}])
        connection.execute(table.delete().where(table.c.number == 2))
    with pytest.raises(IntegrityError, match="threes stay"), engine.begin() as connection:
        connection.execute(table.delete())
    engine.dispose()


def test_postgresql_may_need_other_words_and_a_deletion_that_passes_returns_its_row() -> None:
    guard = Guard("x", "numbers", "DELETE", "strftime('%Y', 1) = 1", "no", on_postgresql="OLD.number = 3")
    (function, _) = guard.creation("postgresql")
    assert "IF OLD.number = 3 THEN" in function
    assert "RETURN OLD" in function
    assert "strftime" in guard.creation("sqlite")[0]
    assert "RETURN NEW" in NO_THREES.creation("postgresql")[0]


def test_a_condition_may_hold_percent_signs() -> None:
    engine, table = sa.create_engine("sqlite://"), _numbers()
    guard_table(table, Guard("odd", "numbers", "INSERT", "NEW.number % 2 = 1", "no odd ones"))
    table.create(engine)
    with pytest.raises(IntegrityError, match="no odd"), engine.begin() as connection:
        connection.execute(table.insert().values(number=3))
    engine.dispose()
