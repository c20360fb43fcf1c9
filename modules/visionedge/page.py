"""What the module tells over HTTP: /metrics for Prometheus, /healthz for the container.

Healthy means that every thread gives signs of life. A camera that is away, or a cloud that
does not answer, is not unhealthy: a restart would not bring it back, and would lose what
is in flight. The parts are listed all the same, for whoever looks. What is stuck is listed
under `stuck`, with the reason and with when the process will end for it.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from visionedge.metrics import CONTENT_TYPE, Metrics
from visionedge.runtime.http import Response, Routes


class Tells(Protocol):
    """Who knows how the module is: the app."""

    @property
    def metrics(self) -> Metrics:
        """All series."""

    def status(self) -> Mapping[str, Any]:
        """With a line for each stuck part under `stuck`."""


def page_routes(app: Tells) -> Routes:
    """The paths of the page."""

    def metrics() -> Response:
        return Response(app.metrics.page(), CONTENT_TYPE)

    def health() -> Response:
        status = app.status()
        body = json.dumps({"healthy": not status["stuck"], **status}).encode()
        return Response(body, "application/json", 503 if status["stuck"] else 200)

    return {"/metrics": metrics, "/healthz": health}
