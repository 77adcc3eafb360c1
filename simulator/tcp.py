"""TCP of the fleet: a listening socket for each device, which can fall as silent as a device without power.

A closed port would answer with RST, and prove the host alive. A silent listener's queue is kept full instead, so that the
kernel drops every SYN as a dark device would; its open connections get no answer any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from simulator.dialogue import Dialogue
from simulator.endpoint import Endpoint

BACKLOG = 64
IDLE_S = 30.0
MAX_MESSAGE = 16_384
RETRANSMIT_S = 0.25  # what a lost segment costs


class Listener:
    """One device's port."""

    def __init__(
        self, endpoint: Endpoint, dialogue: type[Dialogue], clock: Callable[[], float], tls: ssl.SSLContext | None = None
    ) -> None:
        """Prepare on the running loop; `clock` gives seconds since the fleet started."""
        self.endpoint = endpoint
        self._dialogue = dialogue
        self._clock = clock
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._filler: socket.socket | None = None
        self._talks: set[asyncio.Task[None]] = set()

    def open(self, port: int) -> int:
        """Bind to the device's address and serve; return the port.

        Raises:
            OSError: the port is taken, or there are too many open files.
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.endpoint.model.address, port))
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            raise
        self._socket = sock
        self._loop.add_reader(sock, self._accept, sock)
        return int(sock.getsockname()[1])

    def silence(self) -> None:
        """Answer nothing any more, not even a connection request."""
        if self._socket is None or self._filler is not None:
            return
        self._loop.remove_reader(self._socket)
        self._socket.listen(0)
        self._filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self._filler.connect(self._socket.getsockname())

    def speak(self) -> None:
        """Answer again; connections from before are gone, as after a restart."""
        if self._socket is None or self._filler is None:
            return
        self._filler.close()
        self._filler = None
        for talk in self._talks:
            talk.cancel()
        self._socket.listen(BACKLOG)
        self._loop.add_reader(self._socket, self._accept, self._socket)

    def close_now(self) -> None:
        """Close the sockets that listen."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        if self._filler is not None:
            self._filler.close()
            self._filler = None

    async def close(self) -> None:
        """Stop serving and end all connections."""
        self.close_now()
        talks = list(self._talks)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    def _accept(self, sock: socket.socket) -> None:
        try:
            connection, _peer = sock.accept()
        except OSError:  # the asker went away again, or no file is left
            return
        connection.setblocking(False)
        talk = self._loop.create_task(self._talk(connection))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, connection: socket.socket) -> None:
        reader = asyncio.StreamReader(limit=MAX_MESSAGE)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _unused = await self._loop.connect_accepted_socket(lambda: protocol, connection, ssl=self._tls)
        except OSError:
            connection.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        try:
            await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the asker hung up, fell silent, or sent no end of message: the device hangs up too
        finally:
            transport.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialogue = self._dialogue(self.endpoint)
        await self._send(writer, dialogue.greeting())
        closes = False
        while not closes:
            async with asyncio.timeout(IDLE_S):
                message = await reader.readuntil(dialogue.terminator)
                await reader.readexactly(min(dialogue.body_bytes(message), MAX_MESSAGE))
            reply, closes = dialogue.answer(message, self._clock())
            await self._send(writer, reply)

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        while self.endpoint.drops():  # noqa: ASYNC110 - time is what a lost segment costs
            await asyncio.sleep(RETRANSMIT_S)
        writer.write(data)
        await writer.drain()
