"""Where samples go, from the settings: a container of the ledger's account, or a folder."""

from pathlib import Path

from verifier.build import Environment
from verifier.errors import SettingsRefused
from verifier.hosts.containers import container_of
from verifier.settings import VerifierSettings
from verifier.stores.blob_shelf import BlobShelf
from visionedge.datasets.shelf import FolderShelf, Shelf


def shelf_of(settings: VerifierSettings, environment: Environment) -> Shelf | None:
    """The shelf, or None where samples are not kept.

    Raises:
        SettingsRefused: the settings name two places, or an account that is not there.
    """
    dataset, store = settings.dataset, settings.store
    if dataset.folder and dataset.container:
        raise SettingsRefused("dataset: give a folder or a container, not both")
    if dataset.folder:
        return FolderShelf(Path(dataset.folder))
    if not dataset.container:
        return None
    if not (container := container_of(store, dataset.container, environment)):
        raise SettingsRefused("dataset.container: it is one of store.account_url; give that too")
    return BlobShelf(container, dataset.prefix)
