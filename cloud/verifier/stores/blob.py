"""A store in Azure blob storage: one blob an entry, changed under its ETag.

`If-None-Match: *` makes a blob only if there is none, `If-Match` writes over exactly the one
that was read; so any number of workers share a container without leases. Let a lifecycle rule
of the storage account delete old blobs under `ledger/` and `cache/` (see `infra/`).

The SDK's own retries stay on here: they are bounded, and every call of ours is safe to repeat.
A create that was retried after a lost answer shows as a conflict, and the caller reads again.
"""

from collections.abc import Iterator
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import ContainerClient

from verifier.errors import StoreConflict, StoreUnavailable
from verifier.stores.store import Stored

_TIMEOUT_S: Final = 15


class BlobStore:
    """Safe for many threads, processes and machines.

    Args:
        container: An existing container. Its client carries the identity.
    """

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def read(self, key: str) -> Stored | None:
        """The entry, or None."""
        try:
            found = self._container.download_blob(key, timeout=_TIMEOUT_S)
            return Stored(bytes(found.readall()), str(found.properties.etag))
        except ResourceNotFoundError:
            return None
        except AzureError as error:
            raise _unavailable(error) from error

    def create(self, key: str, value: bytes) -> str:
        """Write a new entry and return its version."""
        return self._write(key, value, overwrite=False)

    def replace(self, key: str, value: bytes, version: str) -> str:
        """Write over the entry that has this version and return the new one."""
        return self._write(
            key, value, overwrite=True, etag=version, match_condition=MatchConditions.IfNotModified
        )

    def delete(self, key: str) -> None:
        """Remove the entry; one that is not there is no error."""
        try:
            self._container.delete_blob(key, timeout=_TIMEOUT_S)
        except ResourceNotFoundError:
            return
        except AzureError as error:
            raise _unavailable(error) from error

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix`, in order."""
        try:
            yield from self._container.list_blob_names(name_starts_with=prefix)
        except AzureError as error:
            raise _unavailable(error) from error

    def _write(self, key: str, value: bytes, **how: Any) -> str:  # noqa: ANN401 - the SDK's options
        try:
            answer = self._container.get_blob_client(key).upload_blob(
                value, timeout=_TIMEOUT_S, **how
            )
        except (ResourceExistsError, ResourceModifiedError):
            raise StoreConflict(f"{key} was written by somebody else") from None
        except AzureError as error:
            raise _unavailable(error) from error
        return str(answer["etag"])


def _unavailable(error: AzureError) -> StoreUnavailable:
    status = getattr(error, "status_code", None)
    return StoreUnavailable(
        f"blob storage: {type(error).__name__} {status or ''}".rstrip(),
        hint="check the network, and the role Storage Blob Data Contributor on the container",
    )
