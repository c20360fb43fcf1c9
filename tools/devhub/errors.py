"""What the hub raises to its user.

DevHubError
├── AddressUnavailable   start: another address, or the port is taken
├── ModuleNotConnected   invoke_method: what IoT Hub answers with 404
├── MethodTimeout        invoke_method: what IoT Hub answers with 504
├── ScriptError          a script of faults cannot be played
└── WaitTimeout          wait: what was waited for did not come
"""


class DevHubError(Exception):
    """Anything that the hub itself raises."""


class AddressUnavailable(DevHubError):
    """No loopback address could be bound; free the port or name another address."""


class HubClosed(DevHubError, RuntimeError):
    """The hub serves no more; make a new one."""


class ModuleNotConnected(DevHubError):
    """The module has no link or has not subscribed to methods; try again later."""

    status = 404


class MethodTimeout(DevHubError):
    """The module took the call and gave no answer in time; it may still have acted."""

    status = 504


class ScriptError(DevHubError):
    """A script of faults cannot be read or played; the message names the file and the step."""


class WaitTimeout(DevHubError, TimeoutError):
    """The condition did not come true; the message tells what the hub saw instead."""
