"""Where a case begins: with those who can knock at the citizen's door, where that is known."""

from pathlib import Path

import pytest
from sqlalchemy import select

from data.pseudonyms import Pseudonymiser
from serving.access.roles import Actor, Role
from serving.cases.admission import admit
from serving.cases.contracts import Form
from serving.cases.districts import DistrictError, Taken, take_in
from serving.cases.forms import Turn
from serving.cases.tables import DISTRICTS
from serving.cases.work_list import reassign

NAMES = Pseudonymiser(bytes(32))
NUMBER = "13800138000"


@pytest.fixture
def given(tmp_path: Path, database, now):
    """Take a file in; `minute` after now."""

    def take(text: str, minute: float = 0, encoding: str = "utf-8") -> Taken:
        path = tmp_path / "districts.csv"
        path.write_text(text, encoding)
        return database.within(
            lambda connection: connection.run_sync(take_in, path, NAMES, now.replace(minute=minute))
        )

    return take


def test_routing_begins_at_the_district(given, opened, alert, database, config) -> None:
    assert given(f"number,district\n+86 {NUMBER},渝中区\n") == Taken(1, ())
    case = opened(NAMES.one("tel", NUMBER), level="red")
    assert (case.district, case.tier, case.start_tier) == ("渝中区", "station", "station")
    other = opened("tel_2", level="red")
    assert (other.district, other.tier) == (None, "city")
    # a file that comes later tells of the next evidence
    given("number,district\n13900139000,江北区\n")
    name = NAMES.one("tel", "13900139000")
    found = [alert(subscriber=name, level="blue"), alert(subscriber=name, level="red")]
    database.within(lambda connection: admit(connection, found, config))
    assert {one.district for one in database.cases() if one.subscriber == name} == {"江北区"}


def test_no_number_is_kept(given, database) -> None:
    given(f"number,district\n{NUMBER},渝中区\n")
    (row,) = database.rows(select(DISTRICTS))
    assert row["subscriber"] == NAMES.one("tel", NUMBER)
    assert NUMBER not in str(row)


def test_a_later_word_stands(given, database) -> None:
    given(f"number,district\n{NUMBER},渝中区\n", minute=5)
    given(f"number,district\n{NUMBER},江北区\n", minute=1)
    given(f"number,district\n{NUMBER},南岸区\n", minute=6)
    assert [row["district"] for row in database.rows(select(DISTRICTS))] == ["南岸区"]


def test_lines_that_are_wrong_are_named_by_number_only(given) -> None:
    wrong = ",13900139000,x\n渝中区,nobody,\n13800138001,渝中区,\n"
    assert given(f"district,number,more\n渝中区,{NUMBER},x\n{wrong}") == Taken(1, (3, 4, 5))


def test_a_file_of_something_else_is_told_so(given) -> None:
    with pytest.raises(DistrictError, match="expected the columns number, district"):
        given("tel,place\n1,2\n")
    with pytest.raises(DistrictError, match="CSV in UTF-8"):
        given(f"number,district\n{NUMBER},渝中区\n", encoding="gb18030")


def test_who_assigns_a_case_may_say_where(opened, database, config, now, officers) -> None:
    case = opened(level="red")
    chief = Actor("chief", Role.SUPERVISOR)
    form = Form(case_id=case.case_id, version=case.version, key="key-12345678")

    async def moved(connection):
        return await reassign(Turn(connection, chief, now, config), form, "li", district="渝中区")

    assert database.within(moved).tier == "station"
    (row,) = database.rows(select(DISTRICTS))
    assert (row["subscriber"], row["district"]) == (case.subscriber, "渝中区")
