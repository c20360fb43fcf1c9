"""Who we are to a service: a managed identity first, a key where there is none.

The only home of azure-identity but the hosts. A credential is a callable that gives headers, so
what holds it can be printed without telling a secret. Tokens are kept by azure-identity until
they are about to expire; asking for one each call costs nothing.
"""

from collections.abc import Mapping
from typing import Final

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.identity import DefaultAzureCredential

from verifier.errors import BackendMisconfigured
from verifier.http import Credential

COGNITIVE_SERVICES: Final = "https://cognitiveservices.azure.com/.default"
IOT_HUB: Final = "https://iothubs.azure.net/.default"


def key(header: str, value: str) -> Credential:
    """A key in a header of this name."""

    def headers() -> Mapping[str, str]:
        return {header: value}

    return headers


def token(scope: str, source: TokenCredential | None = None) -> Credential:
    """A bearer token for `scope`, by default of the managed identity or whoever is logged in."""
    credential = source or DefaultAzureCredential()

    def headers() -> Mapping[str, str]:
        try:
            given = credential.get_token(scope)
        except AzureError as error:
            raise BackendMisconfigured(
                f"no token for {scope}: {type(error).__name__}",
                hint="give the worker a managed identity with the role of the service",
            ) from None
        return {"Authorization": f"Bearer {given.token}"}

    return headers
