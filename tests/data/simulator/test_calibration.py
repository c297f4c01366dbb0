"""The figures of DOMAIN.md in the simulated city."""

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest

from data.events import ScamType
from data.simulator import AGE_BANDS, DISTRICTS, Simulation
from data.simulator.calibration import Measures, lead_precision, measure, victims
from data.simulator.rows import KINDS


@pytest.fixture(scope="session")
def cases(metropolis: Simulation) -> pd.DataFrame:
    return victims(metropolis)


@pytest.fixture(scope="session")
def measures(town: Simulation) -> Measures:
    return measure(town)


def test_about_one_event_in_a_thousand_is_part_of_a_fraud(measures: Measures) -> None:
    assert 0.0006 < measures.victim_events / measures.events < 0.0018
    assert measures.fraud_events / measures.events < 0.006


def test_volume_a_day(town: Simulation, measures: Measures) -> None:
    a_subscriber = measures.events / town.city.subscribers / town.city.days
    assert 2.5 < a_subscriber < 4.2  # 3 to 5 million for 20,000 subscribers over 60 days


def test_ten_types_make_88_percent_and_rebate_leads(cases: pd.DataFrame) -> None:
    share = cases["scam_type"].value_counts(normalize=True)
    assert set(share.index) == {str(scam) for scam in ScamType}
    assert share["other"] == pytest.approx(0.12, abs=0.03)
    assert share.drop("other").idxmax() == "rebate"


def test_investment_costs_most_a_case_and_rebate_most_in_all(cases: pd.DataFrame) -> None:
    loss = cases.groupby("scam_type")["loss_cny"]
    assert loss.median().idxmax() == "investment"
    assert loss.sum().idxmax() == "rebate"


def test_mean_loss_is_that_of_chongqing(cases: pd.DataFrame) -> None:
    target = 1.28e9 / (120 * 365)  # CNY 1.28 bn lost in 2023, about 120 cases a day
    assert cases["loss_cny"].clip(upper=1e6).mean() == pytest.approx(target, rel=0.25)


def test_victims_ages(cases: pd.DataFrame) -> None:
    share = cases["age_band"].value_counts(normalize=True)
    assert share["18-25"] + share["26-40"] == pytest.approx(0.621, abs=0.05)
    assert share["41-50"] + share["51-65"] == pytest.approx(0.331, abs=0.05)
    middle = dict(zip(AGE_BANDS, (15, 22, 33, 45.5, 57.5, 71), strict=True))
    assert cases["age_band"].map(middle).astype(float).mean() == pytest.approx(37, abs=1.5)


def test_reports_come_hours_to_weeks_later_or_never(
    metropolis: Simulation, cases: pd.DataFrame
) -> None:
    told = cases["report_delay_h"].dropna()
    assert 1 - len(told) / len(cases) == pytest.approx(metropolis.city.unreported, abs=0.05)
    low, middle, high = told.quantile([0.1, 0.5, 0.95])
    assert 1 < low < 12
    assert 10 < middle < 48
    assert 24 * 5 < high < 24 * 40


def test_most_who_are_approached_never_pay(metropolis: Simulation) -> None:
    truth = metropolis.truth
    episodes = truth.group_by(["episode", "victim"]).aggregate([]).to_pandas()
    assert 8 < (~episodes["victim"]).sum() / episodes["victim"].sum() < 25


def test_one_script_comes_late_and_one_goes_early(metropolis: Simulation) -> None:
    other = metropolis.truth.filter(pc.equal(metropolis.truth["scam_type"], "other")).to_pandas()
    day = (other["known_at"] - metropolis.city.start).dt.total_seconds() / 86_400
    first = day.groupby(other["campaign"] // 10**13).min()
    last = day.groupby(other["campaign"] // 10**13).max()
    assert first.max() > 0.65 * metropolis.city.days
    assert last.min() < 0.95 * metropolis.city.days


def test_leads_are_imprecise(metropolis: Simulation) -> None:
    assert 0.03 < lead_precision(metropolis) < 0.3


def test_days_have_a_rhythm(measures: Measures) -> None:
    hourly = measures.by_hour / measures.by_hour.sum(axis=1, keepdims=True)
    for kind in ("call", "sms", "app", "transfer"):
        assert hourly[KINDS.index(kind), 2:5].sum() < 0.04
        assert hourly[KINDS.index(kind), 9:22].sum() > 0.6


def test_weeks_have_a_rhythm(measures: Measures) -> None:
    transfers = measures.by_weekday[KINDS.index("transfer")]
    assert transfers[5:].mean() > 1.1 * transfers[:5].mean()
    adverts = measures.adverts_by_weekday
    assert adverts[5:].mean() < 0.6 * adverts[:5].mean()


def test_districts_are_the_38_of_chongqing_with_their_shares(metropolis: Simulation) -> None:
    assert len(DISTRICTS) == 38
    assert sum(DISTRICTS.values()) == pytest.approx(3205.4, abs=1)
    share = metropolis.citizens["district"].to_pandas().value_counts(normalize=True)
    assert share["渝北区"] == pytest.approx(219.15 / 3205.4, abs=0.005)


def test_stages_come_in_order(metropolis: Simulation) -> None:
    stages = metropolis.truth.filter(metropolis.truth["victim"])["stage"].to_pandas()
    assert set(stages) == {"contact", "engaged", "paying"}
    assert stages.value_counts(normalize=True).min() > 0.1


def test_numbers_are_burnt(metropolis: Simulation) -> None:
    rows = metropolis.plot.rows
    calls = rows.where(np.flatnonzero((rows["touch"] == 1) & (rows["kind"] == 0)))
    frame = pd.DataFrame({"code": calls["counterpart"], "at": calls["occurred"]})
    life = frame.groupby("code")["at"].agg(lambda at: (at.max() - at.min()) / 86_400e6)
    assert life.quantile(0.9) < 12
    reach = frame.groupby("code").size()
    assert reach.quantile(0.9) > 5
