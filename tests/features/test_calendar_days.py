"""What sort of day it is, in any country, or where holidays are not known."""

from datetime import date, timedelta

import pytest

from features.calendar_days import DAY_KINDS, Calendar


@pytest.mark.parametrize(
    ("country", "holiday"),
    [
        ("CN", date(2026, 2, 17)),  # Spring Festival
        ("US", date(2026, 7, 4)),
        ("AU", date(2026, 1, 26)),
        ("NO", date(2026, 5, 17)),
    ],
)
def test_a_holiday_has_its_eve(country, holiday) -> None:
    calendar = Calendar(country)
    assert calendar.kind(holiday) == "holiday"
    while calendar.kind(holiday) == "holiday":
        holiday -= timedelta(1)
    assert calendar.kind(holiday) == "eve"


def test_kinds_are_those_of_each_day() -> None:
    calendar = Calendar("CN")
    first = (date(2026, 9, 20) - date(1970, 1, 1)).days
    kinds = [DAY_KINDS[kind] for kind in calendar.kinds(first, 20)]
    assert kinds == [calendar.kind(date(2026, 9, 20) + timedelta(step)) for step in range(20)]
    assert set(kinds) == set(DAY_KINDS)


def test_without_a_country_every_day_is_ordinary() -> None:
    assert set(Calendar("").kinds(20_000, 400).tolist()) == {0}


def test_a_part_of_a_country_has_days_of_its_own() -> None:
    patriots = date(2026, 4, 20)
    assert Calendar("US", "MA").kind(patriots) == "holiday"
    assert Calendar("US").kind(patriots) == "ordinary"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("XX",), "ISO 3166 country code such as CN, found 'XX'"),
        (("CN", "ZZ"), "subdivision of CN"),
    ],
)
def test_unknown_countries_are_refused(given, said) -> None:
    with pytest.raises(ValueError, match=said):
        Calendar(*given)
