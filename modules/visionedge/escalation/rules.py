"""Every rule of doubt by its reason code: a new one is one file and one line here.

A score estimates the chance that the local word is wrong, from 0 to 1, so the rules can be
compared: the strongest doubt names the frame's reason. Of equal doubts the first one here
does. What this does not promise: calibrated odds. They are as good as the model's
confidence, which the card's temperature calibrates.
"""

from collections.abc import Callable
from typing import Final

from visionedge.escalation.judging import single
from visionedge.escalation.policies import (
    below_threshold,
    box_minimum,
    close_to_threshold,
    entropy,
    margin,
    nothing_seen,
    novelty,
    rivals,
    unstable,
    weak_share,
)
from visionedge.escalation.policy import EscalationPolicy
from visionedge.settings import DecisionSettings

RULES: Final[dict[str, Callable[[DecisionSettings], EscalationPolicy]]] = {
    nothing_seen.REASON: lambda _: nothing_seen.NothingSeen(),
    margin.REASON: lambda s: margin.Margin(s.margin),
    rivals.REASON: lambda s: rivals.Rivals(s.margin),
    below_threshold.REASON: lambda _: below_threshold.BelowThreshold(),
    close_to_threshold.REASON: lambda s: close_to_threshold.CloseToThreshold(s.close),
    box_minimum.REASON: lambda s: box_minimum.BoxMinimum(single(s.box_minimum)),
    entropy.REASON: lambda s: entropy.Entropy(s.entropy),
    weak_share.REASON: lambda s: weak_share.WeakShare(single(s.weak_box), s.weak_share),
    novelty.REASON: lambda s: novelty.Novelty(s.novelty),
    unstable.REASON: lambda s: unstable.Unstable(s.unstable),
}
