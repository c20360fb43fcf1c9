"""With which settings the module begins: its own sources, and what the hub last said."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from visionedge.errors import SettingsError
from visionedge.settings.last_good import NAME, Kept, LastGood
from visionedge.settings.sources import Document, resolve, resolve_kept
from visionedge.settings.tree import Settings

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a start goes by.

    Attributes:
        layers: settings documents without the twin's, later ones winning.
        settings: of the layers, with what was kept laid over them.
        folder: where the module keeps what lasts. It is no matter of the twin: it must be found
            before the twin is.
        last_good: where desired properties are kept.
        kept: the desired properties that are in the settings, with their version.
    """

    layers: tuple[Document, ...]
    settings: Settings
    folder: Path
    last_good: LastGood
    kept: Kept | None


def begin(layers: Iterable[Document]) -> Beginning:
    """Find out what to begin with: what the hub last said and was good, if it still is.

    Raises:
        SettingsError: the layers are not valid settings.
    """
    layers = tuple(layers)
    settings = resolve(layers)
    folder = Path(settings.spool.path).parent
    last_good = LastGood(folder / NAME)
    kept = last_good.load()
    if kept is not None:
        try:
            settings = resolve_kept(layers, kept[0])
        except SettingsError as error:
            log.error("the last good settings are not good any more and are not used: %s", error)
            kept = None
    return Beginning(layers, settings, folder, last_good, kept)
