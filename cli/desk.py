"""The collector's API as a person at the desk uses it: what is wrong, and steps with faults. Speaks HTTP, decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import aiohttp
import msgspec

from config.language import current

TIMEOUT_S = 5.0


class Clock(msgspec.Struct, frozen=True):
    """One contract clock of a fault."""

    due_at: str | None = None
    state: str = ""


class FaultRow(msgspec.Struct, frozen=True):
    """One fault as the API lists it; times are RFC 3339."""

    id: str
    device: str
    problem: str
    level: str
    state: str
    reason: str
    began_at: str
    opened_at: str
    component: str = ""
    summary: str = ""
    level_name: str = ""
    merged_into: str | None = None
    restored_at: str | None = None
    closed_at: str | None = None
    affected: tuple[str, ...] = ()
    clocks: Mapping[str, Clock] = {}


class FaultList(msgspec.Struct, frozen=True):
    """What the API answers to a question for faults."""

    faults: list[FaultRow]


class DeskError(Exception):
    """The collector did not do what was asked; the text is its own."""


class Desk:
    """A session with one collector, an async context manager."""

    def __init__(self, url: str, token: str) -> None:
        """Prepare; `url` is the collector's, without a path, `token` the operator's."""
        self._url = f"{url}/api/v1/faults"
        self._headers = {"Authorization": f"Bearer {token}", "Accept-Language": current()}
        self._session: aiohttp.ClientSession | None = None
        self._decoder = msgspec.json.Decoder(FaultList)

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout, headers=self._headers, trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def faults(self) -> list[FaultRow]:
        """Return all faults, open and closed, oldest first.

        Raises:
            DeskError: no answer, or one that is not a list of faults.
        """
        body = await self._ask("GET", f"{self._url}?state=all", None)
        try:
            rows = self._decoder.decode(body).faults
        except msgspec.DecodeError as error:
            raise DeskError(str(error)) from None
        return sorted(rows, key=lambda row: (row.opened_at, row.id))

    async def act(self, fault_id: str, step: str, person: str, note: str = "") -> None:
        """Take a step with a fault.

        Raises:
            DeskError: the collector refuses it, or does not answer.
        """
        await self._ask("POST", f"{self._url}/{fault_id}/{step}", {"person": person, "note": note})

    async def _ask(self, method: str, url: str, body: Mapping[str, str] | None) -> bytes:
        assert self._session is not None
        try:
            async with self._session.request(method, url, json=body) as answer:
                text = await answer.read()
                if answer.status >= 300:
                    raise DeskError(text.decode("utf-8", "replace")[:500])
                return text
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DeskError(str(error) or type(error).__name__) from None
