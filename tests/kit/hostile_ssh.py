"""SSH servers for tests: switches that answer from a script (whole, or a byte at a time), and servers that mean harm."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncssh

USER, PASSWORD = "monitor", "canary-S3cret"


@dataclass
class Switch:
    """A switch behind an SSH server: what it shows at login, its prompt, its answers, its habits."""

    prompt: str = "<core-1>"
    motd: bytes = b""
    answers: dict[str, bytes] = field(default_factory=dict)
    echo: bool = True
    piece: int = 0  # bytes for each write; 0: all at once
    pause_s: float = 0.0  # between pieces
    after_login: bytes | None = None  # shown instead of the prompt, for ever
    options: dict[str, Any] = field(default_factory=dict)  # of asyncssh.listen
    questions: tuple[str, ...] = ()  # asked one after another by keyboard-interactive, which is then the only way to log in
    answered: list[str] = field(default_factory=list)
    expired: bool = False  # the password is right, but has to be changed
    attempts: int = 0
    typed: list[str] = field(default_factory=list)

    async def show(self, process: asyncssh.SSHServerProcess[bytes], data: bytes) -> None:
        """Write as this switch does."""
        size = self.piece or len(data) or 1
        for at in range(0, len(data), size):
            process.stdout.write(data[at : at + size])
            if self.piece:
                await asyncio.sleep(self.pause_s)

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Hold one session."""
        with contextlib.suppress(asyncssh.Error, OSError, asyncio.IncompleteReadError):
            await self.show(process, self.motd)
            await self.show(process, self.after_login if self.after_login is not None else self.prompt.encode())
            while True:
                line = await self._line(process)
                self.typed.append(line)
                if self.after_login is not None:
                    continue
                await self.show(process, (line.encode() if self.echo else b"") + b"\r\n")
                await self._answer(process, line)
                await self.show(process, self.prompt.encode())
        process.exit(0)

    async def _answer(self, process: asyncssh.SSHServerProcess[bytes], line: str) -> None:
        answer = self.answers.get(line.strip(), b"")
        for number, page in enumerate(answer.split(b"@@PAGE@@")):
            if number:
                await process.stdin.read(1)
            await self.show(process, page)

    @staticmethod
    async def _line(process: asyncssh.SSHServerProcess[bytes]) -> str:
        line = b""
        while True:
            char = await process.stdin.read(1)
            if not char:
                raise asyncio.IncompleteReadError(b"", 1)
            if char in b"\r\n":
                return line.decode("utf-8", "replace")
            line += char


def _server(switch: Switch) -> type[asyncssh.SSHServer]:
    class Server(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return not switch.questions

        def kbdint_auth_supported(self) -> bool:
            return bool(switch.questions)

        def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
            return "", "", "", [(switch.questions[0], False)]

        def validate_kbdint_response(self, username: str, responses: list[str]) -> Any:
            switch.answered += responses
            if responses[0] != PASSWORD:
                return False
            if len(switch.answered) < len(switch.questions):
                return "", "", "", [(switch.questions[len(switch.answered)], False)]
            return True

        def validate_password(self, username: str, password: str) -> bool:
            switch.attempts += 1
            if switch.expired:
                raise asyncssh.PasswordChangeRequired("your password has expired")
            return username == USER and password == PASSWORD

    return Server


@asynccontextmanager
async def listening(switch: Switch, key: asyncssh.SSHKey | None = None) -> AsyncIterator[tuple[int, asyncssh.SSHKey]]:
    """Run a switch on 127.0.0.1; yield its port and its host key."""
    host_key = key or asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=_server(switch),
        server_host_keys=[host_key],
        process_factory=switch.serve,
        encoding=None,
        line_editor=False,
        **switch.options,
    )
    try:
        yield server.get_port(), host_key
    finally:
        server.close()
        await server.wait_closed()


async def _gone(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(4096):
            pass


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept and say nothing."""
    await asyncio.sleep(3600)


async def trickling(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say a banner, a byte at a time, too slowly."""
    for byte in b"SSH-2.0-slow" * 1000:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def endless_banner(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say lines before the banner for ever."""
    while True:
        writer.write(b"welcome\r\n" * 1000)
        await writer.drain()


async def endless_line(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say one line for ever."""
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()


async def huge_packet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Announce a packet of 4 GB."""
    writer.write(b"SSH-2.0-huge\r\n\xff\xff\xff\xff" + bytes(100))
    await asyncio.sleep(3600)


async def http(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a web server."""
    writer.write(b"HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await asyncio.sleep(3600)


async def closing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close at once."""
    writer.close()


HARMFUL: tuple[Handler, ...] = (silent, trickling, endless_banner, endless_line, huge_packet, http, closing)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    """Run a raw TCP server on 127.0.0.1; yield its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ways = [asyncio.ensure_future(handler(reader, writer)), asyncio.ensure_future(_gone(reader))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()

    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
