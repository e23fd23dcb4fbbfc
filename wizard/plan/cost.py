"""What a snapshot, its copies or a bundle cost, roughly."""

from typing import Literal

from wizard import presets

GIB = 1 << 30


def estimate(stored: int, puts: int, kind: Literal["snapshot", "s3"] = "snapshot") -> str:
    """A line for people: what so many bytes in a snapshot or in S3 cost a month, and what so many puts cost once.

    Prices and their date: presets/prices.toml.
    """
    prices = presets.load("prices")
    monthly = stored / GIB * prices[f"{kind}_gib_month"]
    once = puts / 1000 * prices["put_thousand" if kind == "snapshot" else "s3_put_thousand"]
    return (
        f"{_dollars(monthly)} a month while it is kept, and {_dollars(once)} once for sending it "
        f"(an estimate, by the prices of {prices['region']} on {prices['date']})"
    )


def estimate_by_volume(stored: int, volume_gib: int, hours: float) -> str:
    """The same for a snapshot that was made by way of a volume, which was kept for so many hours."""
    prices = presets.load("prices")
    monthly = stored / GIB * prices["snapshot_gib_month"]
    once = volume_gib * hours / HOURS_A_MONTH * prices["volume_gib_month"]
    return (
        f"{_dollars(monthly)} a month while it is kept, and {_dollars(once)} once for the volume of {volume_gib} GiB "
        f"(an estimate, by the prices of {prices['region']} on {prices['date']}; the instance's own hours come on top)"
    )


HOURS_A_MONTH = 730
"""As AWS counts for EBS volumes (Amazon EBS pricing page)."""


def estimate_copy(stored: int) -> str:
    """The same for a copy of so many bytes in another region: the month there, and the way there."""
    prices = presets.load("prices")
    monthly, once = stored / GIB * prices["snapshot_gib_month"], stored / GIB * prices["transfer_gib"]
    return (
        f"{_dollars(monthly)} a month while it is kept there, and {_dollars(once)} once for the way there "
        f"(an estimate, by the prices of {prices['region']} on {prices['date']})"
    )


def _dollars(amount: float) -> str:
    return f"about ${amount:.2f}" if amount >= 0.01 else "less than $0.01"
