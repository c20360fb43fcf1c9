"""The way from one shell to a hub that runs in another: a unix socket, one question a connection.

A question is a JSON list of the command's words, an answer `{"ok": bool, "text": str}`; each is
one line. The socket lies in a folder that only this user may enter, since whoever reaches it can
read the messages and call methods.
"""

import json
import os
import socket
import socketserver
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

_ANSWER_TIMEOUT_S = 330.0
_CONNECT_TIMEOUT_S = 5.0
_MAX_QUESTION_BYTES = 1_000_000
_STOP_LOOK_S = 0.05


class Answer(NamedTuple):
    """What a command came to."""

    ok: bool
    text: str


class NoHub(Exception):
    """Nothing listens on the control socket."""


def default_socket() -> Path:
    """`$DEVHUB_CONTROL`, or a path that is the same for every shell of this user."""
    if path := os.environ.get("DEVHUB_CONTROL"):
        return Path(path)
    return Path(tempfile.gettempdir()) / f"devhub-of-{os.getuid()}" / "control.sock"


def ask(path: Path, words: list[str]) -> Answer:
    """Puts a command to the hub behind a socket.

    Raises:
        NoHub: No hub is there; start one.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(_CONNECT_TIMEOUT_S)
        try:
            sock.connect(str(path))
        except OSError as error:
            raise NoHub(f"no hub answers at {path}: `devhub start` starts one") from error
        sock.settimeout(_ANSWER_TIMEOUT_S)
        with sock.makefile("rw", encoding="utf-8", newline="\n") as stream:
            stream.write(json.dumps(words) + "\n")
            stream.flush()
            line = stream.readline()
    if not line:
        raise NoHub("the hub went away before it answered")
    answer = json.loads(line)
    return Answer(answer["ok"], answer["text"])


class ControlServer:
    """Answers questions until `close`, each in a thread of its own.

    Args:
        path: Where the socket is made; its folder is made if need be.
        answer: Carries out a command; called from several threads.

    Raises:
        FileExistsError: Another hub answers there already, or a file is there that is no socket;
            name another path.
        PermissionError: The folder belongs to another user.
        OSError: The socket cannot be made there; the message names the path.
    """

    def __init__(self, path: Path, answer: Callable[[list[str]], Answer]) -> None:
        self._path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _no_socket(path, error) from error
        if path.parent.stat().st_uid != os.getuid():
            raise PermissionError(f"{path.parent} belongs to another user")
        if path.exists():
            self._clear(path)

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                line = self.rfile.readline(_MAX_QUESTION_BYTES)
                if line:
                    reply = answer(json.loads(line))
                    self.wfile.write(json.dumps(reply._asdict()).encode("utf-8") + b"\n")

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        try:
            self._server = Server(str(path), Handler)
        except OSError as error:
            raise _no_socket(path, error) from error
        path.chmod(0o600)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": _STOP_LOOK_S},
            name="devhub-control",
            daemon=True,
        )
        self._thread.start()

    @staticmethod
    def _clear(path: Path) -> None:
        """Removes a socket that a dead hub left behind, and nothing else."""
        if not path.is_socket():
            raise FileExistsError(f"{path} is no socket: give --control another path")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(_CONNECT_TIMEOUT_S)
            try:
                sock.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
                return
        raise FileExistsError(f"a hub runs at {path}: stop it, or give --control another path")

    def close(self) -> None:
        """Stops answering and removes the socket."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _no_socket(path: Path, error: OSError) -> OSError:
    """The same error with the path, which the system leaves out."""
    return OSError(
        f"no control socket can be made at {path}: {error.strerror or error}; "
        "give --control a path that is short, in a folder of yours"
    )
