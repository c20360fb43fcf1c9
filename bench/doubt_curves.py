"""What an order of pictures is worth: how many stay wrong for each share that is asked about.

All is counted and nothing is drawn: pictures with the same score stand in every order alike,
so what is caught among them grows evenly. Chance enters only with the pictures themselves,
and that is told by intervals: Wilson's for a share of errors (Wilson, 1927), and a paired
bootstrap for two orders of the same pictures (Efron, 1979), which draws the pictures anew and
puts both orders to the same draw.
"""

from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

SHARES: Final = np.linspace(0, 1, 101)
Curve = NDArray[np.float64]
Scores = NDArray[np.float64]
_Z: Final = 1.959964
"""Of a normal distribution, 95 % lie nearer to its middle than so many deviations."""
_DRAWS: Final = 400
_SURE: Final = 2.5
"""Percent of the draws that may say otherwise."""
_ROUNDING: Final = 1e-9


def caught(scores: Scores, wrong: Scores) -> Curve:
    """(n + 1,) how many errors are found by asking about the first 0, 1, ... n pictures."""
    order = np.argsort(-scores, kind="stable")
    found = np.concatenate(([0.0], np.cumsum(wrong[order])))
    last_of_its_score = np.append(np.diff(scores[order]) != 0, True)
    ends = np.concatenate(([0], np.flatnonzero(last_of_its_score) + 1))
    evenly: Curve = np.interp(np.arange(len(wrong) + 1), ends, found[ends])
    return evenly


def error_left(scores: Scores, wrong: Scores) -> Curve:
    """(101,) the share of wrong pictures left, for each share asked in the order of `scores`."""
    asked = np.rint(SHARES * len(wrong)).astype(int)
    left: Curve = (wrong.sum() - caught(scores, wrong)[asked]) / len(wrong)
    return left


def above(one: Curve, other: Curve) -> list[int]:
    """The shares asked, in %, at which the first of two curves leaves more."""
    return [int(share) for share in np.flatnonzero(one > other + _ROUNDING)]


def surely_above(one: Scores, other: Scores, wrong: Scores) -> list[int]:
    """The shares, in %, at which the first order leaves more, and chance does not explain it.

    At each share by itself: of a hundred shares two or three are found by chance alone.
    """
    chance = np.random.default_rng(1)
    differences = []
    for _ in range(_DRAWS):
        drawn = chance.integers(0, len(wrong), len(wrong))
        lines = [error_left(scores[drawn], wrong[drawn]) for scores in (one, other)]
        differences.append(lines[0] - lines[1])
    return above(np.percentile(differences, _SURE, axis=0), np.zeros(len(SHARES)))


def interval(part: int, whole: int) -> tuple[float, float]:
    """Between which shares the true one lies, 95 % sure, where `part` of `whole` were seen."""
    if whole == 0:
        return 0.0, 1.0
    share, unsure = part / whole, _Z**2 / whole
    middle = share + unsure / 2
    reach = _Z * sqrt(share * (1 - share) / whole + unsure / (4 * whole))
    return max(0.0, (middle - reach) / (1 + unsure)), min(1.0, (middle + reach) / (1 + unsure))
