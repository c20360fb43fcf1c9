"""What an operator may want to count, as calls that the core makes.

The core knows no metrics library: `Observer` does nothing, and `hosts/metrics.py` counts.
"""

from verifier.opinion import Backend


class Observer:
    """Hears of everything that happens; does nothing with it."""

    def handled(self, kind: str, reason: str) -> None:
        """A message came to an end, or was put off."""

    def called(self, backend: Backend, ended: str, seconds: float) -> None:
        """A Vision API was called once."""

    def charged(self, backend: Backend, units: int) -> None:
        """It charged for the call."""

    def agreed(self, word: str) -> None:
        """A verdict agreed with the module, or not."""

    def settled(self, state: str, count: int) -> None:
        """Verdicts reached their end."""

    def deferred(self, count: int) -> None:
        """Verdicts could not be delivered now."""
