"""What is wrapped around a backend says of itself what the backend says.

Whoever asks must not see that somebody stands between: names and limits are the backend's own,
and only the look differs.
"""

from dataclasses import dataclass

from verifier.opinion import Backend, Limits, Want


@dataclass(frozen=True, slots=True)
class Around:
    """Base of all that are wrapped around a backend; each has a look of its own.

    Attributes:
        backend: Who is asked.
    """

    backend: Backend

    @property
    def name(self) -> str:
        """As `Backend.name`; so are those below."""
        return self.backend.name

    @property
    def region(self) -> str:
        """Which deployment."""
        return self.backend.region

    @property
    def limits(self) -> Limits:
        """What it takes."""
        return self.backend.limits

    @property
    def offers(self) -> frozenset[Want]:
        """What it can be asked."""
        return self.backend.offers

    @property
    def recipe(self) -> str:
        """What else decides its answer."""
        return self.backend.recipe
