"""What the module tells over HTTP: /metrics for Prometheus, /healthz for the container.

Healthy means that every thread gives signs of life. A camera that is away, or a cloud that
does not answer, is not unhealthy: a restart would not bring it back, and would lose what
is in flight. The parts are listed all the same, for whoever looks. What is stuck is listed
under `stuck`, with the reason and with when the process will end for it.

Where it listens may come from the twin, and a port that another program has shows at the next
start only. That must not keep the module from starting: it could not hear the hub any more, and
only somebody at the device could mend it. So it then listens where the other sources say.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

from visionedge.errors import SettingsError
from visionedge.metrics import CONTENT_TYPE, Metrics
from visionedge.runtime.http import HttpServer, Response, Routes
from visionedge.settings import HttpSettings

log: Final = logging.getLogger(__name__)


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


def open_page(
    app: Tells, wanted: HttpSettings, without_twin: HttpSettings
) -> tuple[HttpServer | None, HttpSettings]:
    """The page, listening and not started, None where it is to listen nowhere; and where it is.

    Args:
        app: what it tells of.
        wanted: where it is to listen.
        without_twin: where the other sources of settings want it.

    Raises:
        SettingsError: it cannot listen there either.
    """
    try:
        page = HttpServer(wanted.host, wanted.port, page_routes(app)) if wanted.port else None
        return page, wanted
    except SettingsError as error:
        if without_twin == wanted:
            raise
        log.error("the page cannot be where the twin has it: %s", error)
        return open_page(app, without_twin, without_twin)
