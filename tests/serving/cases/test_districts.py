"""Where a case begins: with those who can knock at the citizen's door, where that is known."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from data.database import connect
from data.pseudonyms import Pseudonymiser
from serving.access.roles import Actor, Role
from serving.cases import districts
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

    def take(content: str, minute: float = 0, encoding: str = "utf-8", **how: Any) -> Taken:
        path = tmp_path / "districts.csv"
        path.write_text(content, encoding)
        engine = connect(database.url)
        try:
            return take_in(engine, path, NAMES, now.replace(minute=minute), **how)
        finally:
            engine.dispose()

    return take


def known(database) -> dict[str, str]:
    return {row["subscriber"]: row["district"] for row in database.rows(select(DISTRICTS))}


def test_routing_begins_at_the_district(given, opened, alert, database, config) -> None:
    assert given(f"number,district\n+86 {NUMBER},渝中区\n") == Taken(1, 1)
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


def test_last_years_file_anew_writes_only_who_moved(given, database, now) -> None:
    lines = [f"1380013{number:04},渝中区" for number in range(30)]
    assert given("\n".join(["number,district", *lines])) == Taken(30, 30)
    lines[7] = lines[7].replace("渝中区", "江北区")
    assert given("\n".join(["number,district", *lines]), minute=5) == Taken(30, 1)
    written = {row["known_at"].minute for row in database.rows(select(DISTRICTS))}
    assert written == {0, 5}


def test_of_several_lines_about_one_citizen_the_last_counts(given, database) -> None:
    text = f"number,district\n{NUMBER},渝中区\n+86 {NUMBER},江北区\n\n0086{NUMBER},南岸区\n"
    assert given(text) == Taken(1, 1)
    assert list(known(database).values()) == ["南岸区"]


def test_a_large_file_is_taken_over_in_portions(given, database, monkeypatch) -> None:
    monkeypatch.setattr(districts, "_PORTION", 7)
    monkeypatch.setattr(districts, "_OFTEN", 10)
    lines = [f"1380013{number:04},渝中区" for number in range(50)]
    told: list[str] = []
    found = given("\n".join(["number,district", *lines]), progress=told.append)
    assert found == Taken(50, 50)
    assert len(known(database)) == 50
    assert "10 lines read, 0 of them wrong" in told
    assert told[-1] == "50 of 50 citizens compared"


def test_a_wrong_line_is_named_and_nothing_changes(given, database) -> None:
    given(f"number,district\n{NUMBER},渝中区\n")
    wrong = ",13900139000,x\n渝中区,nobody,\n江北区\n江北区,13800138001,\n"
    text = f"district,number,more\n江北区,{NUMBER},x\n{wrong}"
    with pytest.raises(DistrictError, match="found 3 wrong lines; correct them") as told:
        given(text, minute=5)
    said = str(told.value)
    assert "line 3: district: expected a name" in said
    assert "line 4: number: expected a phone number" in said
    assert "line 5: number: expected a phone number" in said
    assert "1390013" not in said
    assert "nobody" not in said
    assert list(known(database).values()) == ["渝中区"]
    taken = given(text, minute=5, leave_out=True)
    assert (taken.citizens, taken.changed, taken.wrong, len(taken.said)) == (2, 2, 3, 3)
    assert set(known(database).values()) == {"江北区"}


def test_of_many_wrong_lines_some_are_told_and_all_counted(given) -> None:
    taken = given("number,district\n" + "渝中区,渝中区\n" * 1_000, leave_out=True)
    assert (taken.citizens, taken.wrong, len(taken.said)) == (0, 1_000, districts.SAID)


def test_columns_that_were_swapped_are_refused_without_a_number(given) -> None:
    with pytest.raises(DistrictError) as told:
        given(f"district,number\n{NUMBER},渝中区\n")
    assert NUMBER not in str(told.value)


def test_a_file_that_breaks_off_changes_nothing(given, tmp_path: Path, database, now) -> None:
    text = f"number,district\n{NUMBER},渝中区\n".encode() + b"13900139000,\xff\xfe\n" * 10_000
    path = tmp_path / "broken.csv"
    path.write_bytes(text)
    engine = connect(database.url)
    try:
        with pytest.raises(DistrictError, match="CSV in UTF-8, found UnicodeDecodeError after"):
            take_in(engine, path, NAMES, now)
    finally:
        engine.dispose()
    assert known(database) == {}


def test_what_was_interrupted_is_finished_by_reading_again(given, database, monkeypatch) -> None:
    monkeypatch.setattr(districts, "_PORTION", 10)
    monkeypatch.setattr(districts, "_OFTEN", 10)
    text = "\n".join(["number,district", *(f"1380013{n:04},渝中区" for n in range(30))])

    def stop(said: str) -> None:
        if said == "20 of 30 citizens compared":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        given(text, progress=stop)
    assert len(known(database)) == 20
    assert given(text) == Taken(30, 10)


def test_a_file_of_something_else_is_told_so(given) -> None:
    with pytest.raises(DistrictError, match="expected the columns number, district"):
        given("tel,place\n1,2\n")
    with pytest.raises(DistrictError, match="expected the columns"):
        given("")
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
