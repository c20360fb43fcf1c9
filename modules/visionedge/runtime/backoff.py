"""Growing pauses between attempts, with jitter.

A thousand modules that lose one hub at the same moment must not come back at the same
moment: each pause is drawn evenly between half and whole of its step ("equal jitter",
Marc Brooker, AWS Architecture Blog, "Exponential Backoff And Jitter").
"""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Pauses that double from `first_s` to at most `max_s`. Not safe for several threads."""

    first_s: float = 1.0
    max_s: float = 300.0
    rng: random.Random = field(default_factory=random.Random)
    attempts: int = 0

    def next_s(self) -> float:
        """Seconds to pause before the next attempt."""
        step_s = min(self.max_s, self.first_s * 2.0 ** min(self.attempts, 60))
        self.attempts += 1
        return step_s * (0.5 + 0.5 * self.rng.random())

    def reset(self) -> None:
        """Start anew after a success."""
        self.attempts = 0
