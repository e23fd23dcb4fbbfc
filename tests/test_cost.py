"""The cost line says what is stored and what is sent, and that it is an estimate."""

from wizard import presets
from wizard.plan.cost import estimate


def test_a_gibibyte_costs_the_price_of_one() -> None:
    prices = presets.load("prices")
    said = estimate(40 << 30, 100_000)
    assert f"${40 * prices['snapshot_gib_month']:.2f} a month" in said
    assert f"${100 * prices['put_thousand']:.2f} once" in said


def test_it_is_called_an_estimate_with_the_region_and_the_date_of_the_prices() -> None:
    prices = presets.load("prices")
    assert f"an estimate, by the prices of {prices['region']} on {prices['date']}" in estimate(1 << 30, 2000)


def test_next_to_nothing_is_not_called_nothing() -> None:
    assert "$0.00" not in estimate(1 << 20, 2)
    assert "about less" not in estimate(1 << 20, 2)


def test_what_lies_in_s3_costs_its_own_price() -> None:
    prices = presets.load("prices")
    said = estimate(100 << 30, 10_000, "s3")
    assert f"${100 * prices['s3_gib_month']:.2f} a month" in said
    assert f"${10 * prices['s3_put_thousand']:.2f} once" in said
