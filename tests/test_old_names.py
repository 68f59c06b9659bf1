"""Names of earlier versions and the records that are read under them."""

import pytest

from pipeline.old_names import Renamed, present_name, present_names


@pytest.mark.parametrize(
    ("old", "present"),
    [
        ("rmse_usd", "rmse"),
        ("walk_forward/naive_rmse_usd", "walk_forward/naive_rmse"),
        ("rmse_usd_20", "rmse_20"),  # the live scores had it in the middle
        ("forecast_low_95_usd", "forecast_low_95"),
        ("skill", "skill"),
        ("mape_pct", "mape_pct"),
    ],
)
def test_an_old_name_leads_to_the_name_of_today(old, present):
    assert present_name(old) == present
    assert present_names({old: 1.0}) == {present: 1.0}


def test_a_record_is_read_under_both_names():
    class Price(Renamed):
        close: float

    assert Price.model_validate({"close_usd": 1.5}) == Price(close=1.5)
    assert Price.model_validate_json('{"close_usd": 1.5}') == Price.model_validate_json('{"close": 1.5}')
