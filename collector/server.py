"""The HTTP server: uvicorn inside our own event loop, with deadlines against clients that never finish a request.

Owns the listening socket, TLS and the server's task. Leaves signals to the program, and requests to the application.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from config.language import _
from config.site import CollectorSettings

HEADER_S = 10.0  # from the first chance to speak to the end of the headers
KEEP_ALIVE_S = 30
HEADER_BYTES = 16 << 10
CONNECTIONS = 512
STOP_S = 3


class ServerError(Exception):
    """The server cannot start; the text says why and what to do."""


class _Protocol(H11Protocol):
    """HTTP/1.1 with a deadline for the headers of each request; the body's is the application's."""

    _headers_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_headers()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_headers()
        super().connection_lost(exc)

    def _watch_headers(self) -> None:
        waiting = self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None
        if not waiting:
            self._forget_headers()
        elif self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADER_S, self._too_slow)

    def _forget_headers(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _too_slow(self) -> None:
        self._headers_due = None
        if not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the program has its own."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """One listening address. `start` returns when it accepts connections."""

    def __init__(self, app: Any, settings: CollectorSettings) -> None:
        """Serve an ASGI application at `settings.listen`, with TLS if a certificate is given."""
        self._app, self._settings = app, settings
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            ServerError: the address cannot be listened on, or the certificate cannot be read.
        """
        listening = _listen(self._settings.listen)
        self.port = int(listening.getsockname()[1])
        try:
            config = self._config()
        except BaseException:
            listening.close()
            raise
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]), name="http server")
        await self._server.ready.wait()

    def _config(self) -> uvicorn.Config:
        config = uvicorn.Config(
            self._app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S,
            h11_max_incomplete_event_size=HEADER_BYTES,
            limit_concurrency=CONNECTIONS,
        )
        config.load()
        if self._settings.tls_certificate is not None:
            config.ssl = _tls(self._settings.tls_certificate, self._settings.tls_key)
        return config

    async def stop(self) -> None:
        """Stop listening, give requests under way a few seconds, close."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


def _listen(listen: str) -> socket.socket:
    host, _colon, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        family, _kind, _proto, _name, address = socket.getaddrinfo(host or None, int(port), type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(1024)
        except BaseException:
            made.close()
            raise
    except (OSError, ValueError) as error:
        why = _("another program listens there") if getattr(error, "errno", 0) == errno.EADDRINUSE else str(error)
        text = _("Cannot listen on {listen}: {why}. Change collector.listen in the site file.")
        raise ServerError(text.format(listen=listen, why=why)) from None
    made.setblocking(False)
    return made


def _tls(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        text = _("The TLS certificate {certificate} cannot be used: {error}")
        raise ServerError(text.format(certificate=certificate, error=error)) from None
    return context
