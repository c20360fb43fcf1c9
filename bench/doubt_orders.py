"""The orders in which `bench.doubt` asks: the default settings, each rule, and the baselines.

`default` is what the module does: the rules, a second look at what they doubt and at a share
of the confident frames, and nobody is asked where that has settled it. What it would ask about
comes first, by the doubt that is left. Somebody with more budget lowers `settles` and then opens
the rules wider: so what was settled comes next, by the doubt that it left, and confident frames
last, by what the first look leaves of its own word. What is too weak to be heard by default
counts in these two.
`rules alone` is without second looks.

Where there are several views of a thing, rules go by the most doubtful one, and the default, as
the module, looks again at the best of those that it doubts. Max confidence goes by the best
view, which serves it better.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.doubt_curves import Scores
from bench.doubt_sets import FLOOR, LEAST_FLOOR, Example, View, heard
from visionedge.escalation.judging import competes, margin_of
from visionedge.escalation.policy import Context as RuleContext
from visionedge.escalation.policy import EscalationPolicy
from visionedge.escalation.reading import read
from visionedge.escalation.rules import RULES
from visionedge.escalation.second import agree, doubt_left
from visionedge.escalation.thresholds import Thresholds
from visionedge.settings import DecisionSettings, EscalationSettings

DEFAULT: Final = "default"
RULES_ALONE: Final = "rules alone"
RANDOM: Final = "random"
MAX_CONFIDENCE: Final = "max confidence"
ORACLE: Final = "oracle"
Score = Callable[[Example], float]
_DECISION: Final = DecisionSettings()
_THRESHOLDS: Final = Thresholds(_DECISION)
_ESCALATION: Final = EscalationSettings()

WIDE: Final[Mapping[str, DecisionSettings]] = {
    "nothing_seen": DecisionSettings(),
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
class Asked:
    """What the module would do with each picture of a set.

    Attributes:
        doubted: (n,) bool, by the rules.
        asked: (n,) bool, after second looks.
        scores: (n,) the order: 2 and more is asked about, 1 and more is doubted and settled.
    """

    doubted: NDArray[np.bool_]
    asked: NDArray[np.bool_]
    scores: Scores


def by_default(
    examples: Sequence[Example],
    decision: DecisionSettings = _DECISION,
    settles: float = _ESCALATION.second.settles,
) -> Asked:
    """What these settings ask about, and in which order."""
    rules, thresholds, iou = _rules(decision), Thresholds(decision), _ESCALATION.match_iou
    doubted, asked, scores = [], [], []
    credit = 0.0
    for example in examples:
        doubtful = next((v for v in example.views if _judged(v, example, rules, FLOOR)), None)
        credit += 0 if doubtful else example.frames * _ESCALATION.second.confident_share
        looked, credit = doubtful is not None or credit >= 1, credit % 1
        view = doubtful or example.views[0]
        first = heard(view.first, FLOOR)
        left = doubt_left(first, view.second, thresholds, FLOOR, iou)
        settled = agree(first, view.second, thresholds, iou) and (left < settles or not doubtful)
        asks = looked and not settled
        if not asks and doubtful:
            left = doubt_left(first, view.second, thresholds, LEAST_FLOOR, iou)
        elif not asks:
            left = max(_own_doubt(each, thresholds, iou) for each in example.views)
        doubted.append(doubtful is not None)
        asked.append(asks)
        scores.append(left + (2 if asks else 1 if doubtful else 0))
    return Asked(np.array(doubted), np.array(asked), np.array(scores))


def all_orders(examples: Sequence[Example], default: Asked) -> dict[str, Scores]:
    """The scores of every order, by its name."""
    orders: dict[str, Score] = {
        RULES_ALONE: _rules_alone,
        **{name: _rule(name, wide) for name, wide in WIDE.items()},
        "margin": _margin,
        MAX_CONFIDENCE: _max_confidence,
        RANDOM: lambda _: 0.0,
        ORACLE: lambda e: float(e.wrong),
    }
    return {
        DEFAULT: default.scores,
        **{name: np.array([score(e) for e in examples]) for name, score in orders.items()},
    }


def _rules(decision: DecisionSettings) -> list[EscalationPolicy]:
    return [make(decision) for make in RULES.values()]


def _rule(name: str, settings: DecisionSettings) -> Score:
    rule = RULES[name](settings)
    return lambda example: _strongest(example, [rule], FLOOR)


def _margin(example: Example) -> float:
    """The margin itself, as the rule opens; its score tells how likely the word is wrong."""
    word = example.views[0].first
    return 1 - margin_of(word.confidence) if competes(word) else 0.0


_DEFAULT_RULES: Final = _rules(_DECISION)
_WIDEST_RULES: Final = _rules(DecisionSettings(close=1.0, margin=1.0))


def _rules_alone(example: Example) -> float:
    """The strongest doubt of the default settings; the rest by the rules opened wide."""
    doubt = _strongest(example, _DEFAULT_RULES, FLOOR)
    return 1 + doubt if doubt else _strongest(example, _WIDEST_RULES, LEAST_FLOOR)


def _strongest(example: Example, rules: Sequence[EscalationPolicy], floor: float) -> float:
    return max(_judged(view, example, rules, floor) for view in example.views)


def _judged(view: View, example: Example, rules: Sequence[EscalationPolicy], floor: float) -> float:
    context = RuleContext(example.expects, floor)
    seen = read(view.first, _THRESHOLDS)
    seen.novelty = example.novelty
    doubts = [rule.judge(seen, context) for rule in rules]
    return max((doubt.score for doubt in doubts if doubt), default=0.0)


def _own_doubt(view: View, thresholds: Thresholds, iou: float) -> float:
    """What the first look leaves of its own word."""
    return doubt_left(view.first, view.first, thresholds, LEAST_FLOOR, iou)


def _max_confidence(example: Example) -> float:
    """Least max confidence as it is widely used: a picture without boxes is certain."""
    seen = heard(example.views[0].first, FLOOR).confidence
    return 1 - float(seen.max()) if len(seen) else 0.0
