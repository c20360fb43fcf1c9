"""What a fleet costs a month, from the metering rules; prices are yours to give.

The rules are the services' own and change seldom; prices hang on region, tier and agreement and
change often, so none is built in. Sources of the rules:

- IoT Hub meters device-to-cloud messages and direct methods in steps of 4 KiB, each way of a
  method by itself; a unit of S1 has 400,000 a day, of S2 6 million, of S3 300 million. (Microsoft
  Learn, "Choose the right IoT Hub tier", "IoT Hub quotas and throttling".)
- Image Analysis charges a transaction for each feature that is asked for, a 400 too. A recorded
  session shows one for all seven (`CSP-Billing-Usage`), so the estimate is the upper one.
- What is sent again, because nothing answered in time, is metered again: not in here.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

_METER_BYTES: Final = 4096
_VERDICT_BYTES: Final = 2200
"""A verdict with a few boxes, as measured."""
_ANSWER_BYTES: Final = 300
_DAYS: Final = 30.4
UNITS_A_DAY: Final = {"S1": 400_000, "S2": 6_000_000, "S3": 300_000_000}


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is to be paid for.

    Attributes:
        devices: How many.
        rate: Escalations an hour of each.
        message_bytes: Of one escalation, the picture in base64 included.
        features: How many things are wanted of a picture.
        hours: Of work a day.
        price_per_1000: Of transactions of the Vision API; 0 leaves money out.
        price_per_unit: Of an IoT Hub unit a month.
    """

    devices: int
    rate: float
    message_bytes: int = 100 * 1024
    features: int = 1
    hours: float = 24
    price_per_1000: float = 0.0
    price_per_unit: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What the rules make of it."""

    escalations_a_day: int
    transactions_a_month: int
    meter_units_a_day: int
    hub_units: dict[str, int]
    vision_price: float
    hub_price: float


def cost(fleet: Fleet) -> Cost:
    """Apply the rules. The hub's price is that of the units of the S1 tier."""
    a_day = ceil(fleet.devices * fleet.rate * fleet.hours)
    metered = _meters(fleet.message_bytes) + _meters(_VERDICT_BYTES) + _meters(_ANSWER_BYTES)
    meter_units = a_day * metered
    transactions = ceil(a_day * fleet.features * _DAYS)
    hub_units = {tier: max(1, ceil(meter_units / size)) for tier, size in UNITS_A_DAY.items()}
    return Cost(
        escalations_a_day=a_day,
        transactions_a_month=transactions,
        meter_units_a_day=meter_units,
        hub_units=hub_units,
        vision_price=transactions / 1000 * fleet.price_per_1000,
        hub_price=hub_units["S1"] * fleet.price_per_unit,
    )


def report(fleet: Fleet, result: Cost) -> str:
    """The result for people."""
    lines = [
        f"escalations a day        {result.escalations_a_day:>14,}",
        f"vision transactions      {result.transactions_a_month:>14,} a month, at most",
        f"IoT Hub meter units      {result.meter_units_a_day:>14,} a day (4 KiB steps)",
        "IoT Hub units            " + ", ".join(f"{n} {t}" for t, n in result.hub_units.items())
        + " (one of these)",
    ]  # fmt: skip
    if fleet.price_per_1000 or fleet.price_per_unit:
        lines.append(f"Vision API               {result.vision_price:>14,.2f} a month")
        lines.append(f"IoT Hub, S1              {result.hub_price:>14,.2f} a month")
    return "\n".join(lines)


def _meters(size_bytes: int) -> int:
    return max(1, ceil(size_bytes / _METER_BYTES))
