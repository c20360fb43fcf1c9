"""Samples in Azure blob storage: a block blob a picture, an append blob an index.

An append is one block, taken whole or not at all, so workers add to one index without knowing of
each other. A blob takes 50,000 of them, which bounds the samples of a day.

Give the container a lifecycle rule as well (see `infra/`): it deletes what a worker that is no
more would have forgotten.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import ContainerClient

_TIMEOUT_S: Final = 30


class BlobShelf:
    """A `Shelf` in a container. Safe for many threads, processes and machines.

    Args:
        container: An existing container. Its client carries the identity.
        prefix: What all keys begin with, such as `dataset/v1`.
    """

    def __init__(self, container: ContainerClient, prefix: str) -> None:
        self._container = container
        self._prefix = f"{prefix.strip('/')}/"

    def write(self, key: str, value: bytes) -> None:
        """As `Shelf.write`."""
        try:
            self._container.upload_blob(
                self._prefix + key, value, overwrite=True, timeout=_TIMEOUT_S
            )
        except AzureError as error:
            raise _failed(error) from error

    def append(self, key: str, line: bytes) -> None:
        """As `Shelf.append`; one that is repeated after a lost answer gives two lines."""
        blob = self._container.get_blob_client(self._prefix + key)
        whole = line.rstrip(b"\n") + b"\n"
        try:
            try:
                blob.append_block(whole, timeout=_TIMEOUT_S)
            except ResourceNotFoundError:
                with suppress(ResourceExistsError, ResourceModifiedError):
                    blob.create_append_blob(
                        match_condition=MatchConditions.IfMissing, timeout=_TIMEOUT_S
                    )
                blob.append_block(whole, timeout=_TIMEOUT_S)
        except AzureError as error:
            raise _failed(error) from error

    def read(self, key: str) -> bytes | None:
        """As `Shelf.read`."""
        try:
            found = self._container.download_blob(self._prefix + key, timeout=_TIMEOUT_S)
            return bytes(found.readall())
        except ResourceNotFoundError:
            return None
        except AzureError as error:
            raise _failed(error) from error

    def delete(self, key: str) -> None:
        """As `Shelf.delete`."""
        try:
            self._container.delete_blob(self._prefix + key, timeout=_TIMEOUT_S)
        except ResourceNotFoundError:
            return
        except AzureError as error:
            raise _failed(error) from error

    def keys(self) -> Iterator[str]:
        """As `Shelf.keys`."""
        try:
            for name in self._container.list_blob_names(name_starts_with=self._prefix):
                yield str(name).removeprefix(self._prefix)
        except AzureError as error:
            raise _failed(error) from error


def _failed(error: AzureError) -> OSError:
    status = getattr(error, "status_code", None)
    return OSError(f"blob storage: {type(error).__name__} {status or ''}".rstrip())
