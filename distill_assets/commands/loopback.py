"""A server on loopback: its port, taken before anything slow happens, and its loop.

Belongs here: the listening socket and uvicorn around it. Does not belong here: who may talk to it (guard) or what it
answers (ui, review).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from distill_assets.commands.guard import Guard
from distill_assets.errors import DistillError

ADDRESS = "127.0.0.1"
REQUESTS_GRACE_S = 2


@contextmanager
def listen(port: int, command: str) -> Iterator[socket.socket]:
    """Take a port, 0 for a free one; who comes early waits.

    Args:
        command: the command that serves, for the error's words.

    Raises:
        DistillError: the port is in use or not allowed.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with listener:
        try:
            listener.bind((ADDRESS, port))
            listener.listen(128)
        except OSError as error:
            raise DistillError(
                f"port {port} of {ADDRESS} cannot be used: {error.strerror}. Nothing was started. "
                f"Stop the other program, or choose a port: {command} --port 0 takes a free one."
            ) from error
        yield listener


def run_server(app: Guard, listener: socket.socket) -> None:
    """Serve until a signal ends it."""
    import uvicorn

    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=REQUESTS_GRACE_S)
    uvicorn.Server(config).run(sockets=[listener])
