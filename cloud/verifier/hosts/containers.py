"""Containers of the storage account that the settings name, and what is wrong with its address."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContainerClient

from verifier.build import Environment, secret
from verifier.errors import SettingsRefused
from verifier.settings import StoreSettings


@contextmanager
def readable(field: str) -> Iterator[None]:
    """Read a connection string or an address: the SDKs say with a ValueError what is wrong.

    Raises:
        SettingsRefused: it cannot be read; the field is named.
    """
    try:
        yield
    except ValueError as error:
        raise SettingsRefused(f"{field}: {error}") from None


def container_of(
    store: StoreSettings, container: str, environment: Environment
) -> ContainerClient | None:
    """A container of the account, or None where no account is named. Nothing is asked of it yet.

    Raises:
        SettingsRefused: the account's address or connection string is none.
    """
    if store.connection_string_env:
        text = secret(environment, store.connection_string_env, "store.connection_string_env")
        with readable(f"store.connection_string_env: the variable {store.connection_string_env}"):
            return ContainerClient.from_connection_string(text, container)
    if not store.account_url:
        return None
    with readable("store.account_url"):
        return ContainerClient(store.account_url, container, DefaultAzureCredential())
