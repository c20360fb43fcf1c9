"""How right edge and cloud are together, for each share of the frames that is asked about.

For each set of labelled pictures a model says what it sees, a rule of doubt puts them into an
order, and the first of them are asked about: a right answer is taken for granted there.
What is left is the share of pictures whose local word is wrong. Asking at random falls on a
straight line; an oracle asks about the wrong ones first. A rule is as good as it is nearer
to the oracle.

`default` is what the module does with its default settings: the rules, a second look at what
they doubt, and at confident frames. What it would ask about comes first, in the order of the
doubt that is left, and then the rest in the same order, for somebody with more budget. `rules
alone` is the same without second looks. What a single rule does not doubt comes in random
order. Baselines are random order and the widely used least max confidence, for which a picture
without boxes is certain.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench import doubt_plot
from bench.context import Context
from bench.doubt_sets import Example, sets
from bench.report import Column, Report, Table, Unavailable
from visionedge.entities import Detections, Prediction, SecondOpinion
from visionedge.escalation.policy import Context as RuleContext
from visionedge.escalation.rules import RULES
from visionedge.escalation.second import agree, doubt_left
from visionedge.escalation.thresholds import Thresholds
from visionedge.settings import DecisionSettings, EscalationSettings, ModelSettings

DEFAULT: Final = "default"
RULES_ALONE: Final = "rules alone"
RANDOM: Final = "random"
MAX_CONFIDENCE: Final = "max confidence"
ORACLE: Final = "oracle"
FLOOR: Final = ModelSettings(path="-").floor
_LEAST_FLOOR: Final = 0.02
_DRAWS: Final = 200
"""Random orders among equals, averaged: a single draw would be luck."""
_SHARES: Final = np.linspace(0, 1, 101)
Curve = NDArray[np.float64]
Score = Callable[[Example], float]

WIDE: Final[Mapping[str, DecisionSettings]] = {
    "nothing_seen": DecisionSettings(),
    "margin": DecisionSettings(margin=1.0),
    "rivals": DecisionSettings(margin=1.0),
    "below_threshold": DecisionSettings(),
    "close_to_threshold": DecisionSettings(close=1.0),
    "box_minimum": DecisionSettings(box_minimum=1.0),
    "entropy": DecisionSettings(entropy=0.0),
    "weak_share": DecisionSettings(weak_share=0.01),
    "novelty": DecisionSettings(novelty=0.0),
}
"""Each rule opened as wide as it goes, so that it puts all pictures into an order."""


@dataclass(frozen=True, slots=True)
class Row:
    """One order of one set.

    Attributes:
        policy: whose order.
        area: mean error over all shares, 0..1.
        caught: of the oracle's errors caught at the default setting's budget, 0..1.
        at: error left at 5, 10, 20 and 50 % asked.
        beats_random, beats_max: at every share, but for what chance explains of the end.
    """

    policy: str
    area: float
    caught: float
    at: tuple[float, float, float, float]
    beats_random: bool
    beats_max: bool


def run(context: Context) -> Report:
    """Measure all sets that are on this machine."""
    tables, skipped, panels = [], [], []
    for name, make in sets(context).items():
        try:
            examples = make()
        except Unavailable as error:
            skipped.append(f"{name}: {error}")
            continue
        curves = _curves(examples)
        budget = float(np.mean([_default(e) > 1 for e in examples]))
        tables.append(_table(name, examples, curves, budget))
        panels.append(doubt_plot.Panel(name, curves, budget))
    if panels:
        doubt_plot.save(panels)
    return Report("doubt", tables, skipped)


def _curves(examples: Sequence[Example]) -> dict[str, Curve]:
    wrong = np.array([example.wrong for example in examples], dtype=np.float64)
    orders: dict[str, Score] = {
        DEFAULT: _default,
        RULES_ALONE: lambda e: 1 + _by_rules(e) if _by_rules(e) else _widest(e),
        **{name: _rule(name, wide) for name, wide in WIDE.items()},
        MAX_CONFIDENCE: lambda e: _max_confidence(e.prediction),
        RANDOM: lambda _: 0.0,
        ORACLE: lambda e: float(e.wrong),
    }
    return {
        name: _error(np.array([score(e) for e in examples]), wrong)
        for name, score in orders.items()
    }


def _error(scores: NDArray[np.float64], wrong: NDArray[np.float64]) -> Curve:
    """The share of wrong pictures left, for each share asked in the order of `scores`."""
    chance = np.random.default_rng(1)
    left = np.zeros(len(_SHARES))
    asked = np.rint(_SHARES * len(wrong)).astype(int)
    for _ in range(_DRAWS):
        order = np.lexsort((chance.random(len(wrong)), -scores))
        caught = np.concatenate(([0.0], np.cumsum(wrong[order])))
        left += (wrong.sum() - caught[asked]) / len(wrong)
    error: Curve = left / _DRAWS
    return error


def _rule(name: str, settings: DecisionSettings) -> Score:
    rule = RULES[name](settings)

    def score(example: Example) -> float:
        context = RuleContext(example.expects, FLOOR, novelty=example.novelty)
        doubt = rule.judge(example.prediction, context)
        return doubt.score if doubt else 0.0

    return score


_DEFAULT_RULES: Final = [make(DecisionSettings()) for make in RULES.values()]
_THRESHOLDS: Final = Thresholds(DecisionSettings())
_ESCALATION: Final = EscalationSettings()


def _by_rules(example: Example) -> float:
    """The strongest doubt of the default settings, before any second look."""
    context = RuleContext(example.expects, FLOOR)
    doubts = [rule.judge(example.prediction, context) for rule in _DEFAULT_RULES]
    return max((doubt.score for doubt in doubts if doubt), default=0.0)


def _default(example: Example) -> float:
    """The doubt after both looks, and one more where the default settings ask."""
    first, second = _heard(example.prediction), _heard(example.second)
    agrees = agree(first, second, _THRESHOLDS, _ESCALATION.match_iou)
    left = doubt_left(SecondOpinion("flips", agrees, second), _THRESHOLDS, FLOOR)
    settled = agrees and (left < _ESCALATION.second.settles or not _by_rules(example))
    return left if settled else 1 + left


def _heard(prediction: Prediction) -> Prediction:
    """Without what the default floor takes for noise."""
    if not isinstance(prediction, Detections):
        return prediction
    kept = prediction.confidence >= FLOOR
    return Detections(
        prediction.xyxy[kept], prediction.confidence[kept], prediction.class_id[kept],
        prediction.labels,
    )  # fmt: skip


_WIDEST_RULES: Final = [make(DecisionSettings(close=1.0, margin=1.0)) for make in RULES.values()]


def _widest(example: Example) -> float:
    """The strongest doubt of the default rules, opened as wide as they go."""
    context = RuleContext(example.expects, _LEAST_FLOOR)
    doubts = [rule.judge(example.prediction, context) for rule in _WIDEST_RULES]
    return max((doubt.score for doubt in doubts if doubt), default=0.0)


def _max_confidence(prediction: Prediction) -> float:
    heard = prediction.confidence[prediction.confidence >= FLOOR]
    return 1 - float(heard.max()) if len(heard) else 0.0


def _table(
    name: str, examples: Sequence[Example], curves: Mapping[str, Curve], budget: float
) -> Table:
    at_budget = round(budget * 100)
    start = curves[ORACLE][0]
    possible = start - curves[ORACLE][at_budget]
    rows = [
        Row(
            policy=policy,
            area=float(curve.mean()),
            caught=float((start - curve[at_budget]) / possible) if possible else 1.0,
            at=(float(curve[5]), float(curve[10]), float(curve[20]), float(curve[50])),
            beats_random=_below(curve, curves[RANDOM]),
            beats_max=_below(curve, curves[MAX_CONFIDENCE]),
        )
        for policy, curve in curves.items()
    ]
    title = (
        f"{name}: {len(examples)} pictures, {100 * start:.1f} % wrong by itself; the default "
        f"asks about {100 * budget:.1f} %"
    )
    return Table(title, rows, _COLUMNS, _NOTES)


def _below(curve: Curve, other: Curve) -> bool:
    return bool((curve <= other + 0.002).all())


_COLUMNS: Final = (
    Column("order", lambda row: str(row.policy)),
    Column("area", lambda row: f"{100 * row.area:.2f}"),
    Column("caught", lambda row: f"{100 * row.caught:.0f} %"),
    *(
        Column(f"at {share} %", lambda row, i=i: f"{100 * row.at[i]:.2f}")  # type: ignore[misc] # a default binds i
        for i, share in enumerate((5, 10, 20, 50))
    ),
    Column("< random", lambda row: "yes" if row.beats_random else "no"),
    Column("< max conf", lambda row: "yes" if row.beats_max else "no"),
)
_NOTES: Final = (
    "area: mean error over all shares, in %; caught: errors caught at the default's budget, as a "
    "share of the oracle's; at: error left, in %",
    "<: not above the baseline at any share, to 0.2 %",
)
