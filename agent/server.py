"""The agent's own /metrics and /healthz over HTTP. Shows no device names and takes no parameters."""

from __future__ import annotations

import os
from collections.abc import Callable

from aiohttp import web

from agent.metrics import AgentMetrics
from config.language import _

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def split_listen(listen: str) -> tuple[str, int]:
    """Return host and port of ``host:port`` or ``[v6]:port``."""
    host, _colon, port = listen.rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port)


class Server:
    """A small HTTP server on `agent.listen`."""

    def __init__(self, listen: str, metrics: AgentMetrics, healthy: Callable[[], str]) -> None:
        """`healthy` returns what is wrong in a few words, empty if nothing is."""
        self._host, self._port = split_listen(listen)
        self._metrics = metrics
        self._healthy = healthy
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken, or not one of this machine's; the text says what to do.
        """
        app = web.Application(client_max_size=1024)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/healthz", self._show_health)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=15.0, shutdown_timeout=0.2)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            message = _("The agent cannot listen on {host}:{port}: {why}. Change agent.listen in the site file.")
            why = os.strerror(error.errno) if error.errno else str(error)
            raise OSError(message.format(host=self._host, port=self._port, why=why)) from error

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _show_metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": _CONTENT_TYPE})

    async def _show_health(self, request: web.Request) -> web.Response:
        wrong = self._healthy()
        return web.Response(text=(wrong or "ok") + "\n", status=503 if wrong else 200)
