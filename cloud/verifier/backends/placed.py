"""A backend that tells by which route and region it was asked, when it is misconfigured.

A wrong key or model stops the worker, whatever other routes there are. Whoever is woken by that
has settings with many endpoints before them, and a bare `HTTP 404` is none of them.
"""

from dataclasses import dataclass

from verifier.backends.around import Around
from verifier.errors import BackendMisconfigured
from verifier.opinion import Backend, Metered, Opinion, Picture, Want


@dataclass(frozen=True, slots=True)
class Placed(Around):
    """A backend and its place.

    Attributes:
        place: The path in the settings, such as `routes.pcb.backend.regions.0`.
    """

    place: str

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once."""
        try:
            return self.backend.look(picture, want, timeout_s)
        except BackendMisconfigured as error:
            error.args = (f"{self.place}, {self.name} in {self.region}: {error.args[0]}",)
            raise


@dataclass(frozen=True, slots=True)
class PlacedMetered(Placed):
    """As `Placed`, of one that makes more than one paid call a look."""

    meter: Metered

    def paid_calls(self, want: frozenset[Want]) -> int:
        """As `Metered.paid_calls`."""
        return self.meter.paid_calls(want)


def placed(backend: Backend, place: str) -> Backend:
    """The backend with its place; it is metered if it was."""
    if isinstance(backend, Metered):
        return PlacedMetered(backend, place, backend)
    return Placed(backend, place)
