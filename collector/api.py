"""The HTTP interface: what agents deliver, what operators ask and do, what Prometheus scrapes. FastAPI; decides nothing itself.

Every route but /healthz wants a token (`collector.access`). Bodies are read under a cap and a deadline before anything is
parsed. Errors are JSON: ``{"error": ..., "detail": ...}``. Texts for people are in the language that Accept-Language asks
for first, else in the site's; the words that programs go by are the same in every language.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from collector import pages
from collector.exposition import OPENMETRICS, TEXT, gzipped, wants_openmetrics
from collector.fault_json import fault_json
from collector.ingest import IngestRefused
from collector.steps import IllegalStep, UnknownFault
from collector.store import agents, audit
from collector.store import faults as fault_store
from collector.writer import Refusal
from config.language import _, use

if TYPE_CHECKING:
    import sqlite3

    from collector.app import Collector

FRAMES = "application/x-watchkeeper-frames"
BODY_S = 30.0  # for a whole body to arrive
STEP_BYTES = 64 << 10
T = TypeVar("T")


def make_app(collector: Collector) -> FastAPI:
    """Return the application of one collector."""
    app = FastAPI(title="Watchkeeper", docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json")
    app.include_router(_machine_routes(collector))
    app.include_router(_fault_routes(collector))
    app.include_router(_page_routes(collector))
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(IngestRefused, _refused)
    app.add_middleware(_NoSniff)
    return app


class _NoSniff:
    """Adds the headers that keep a browser from reading answers as anything but what they are."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                extra = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)


def _error(status: int, error: str, detail: str = "", headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    return JSONResponse({"error": error, "detail": detail or error, **more}, status, headers=dict(headers or {}))


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    return _error(error.status_code, str(error.detail), headers=error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first.get("loc", ()))
    return _error(400, "invalid request", f"{where}: {first.get('msg', '')}")


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, IngestRefused)
    headers = {"Retry-After": str(round(error.retry_after_s))} if error.retry_after_s else None
    return _error(error.status, error.reason, error.detail, headers)


def _peer(request: Request) -> str:
    return f"{request.client.host}:{request.client.port}" if request.client else ""


async def read_body(request: Request, most: int) -> bytes:
    """Return a request's body.

    Raises:
        IngestRefused: 413 if it is larger than `most` bytes, 408 if it does not arrive in time, 400 if it is cut short.
    """
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > most:
        raise IngestRefused(413, f"a body of {length} bytes, at most {most} are taken")
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise IngestRefused(413, f"a body of more than {most} bytes")
                parts.append(part)
    except TimeoutError:
        raise IngestRefused(408, f"the body did not arrive within {BODY_S:g} s") from None
    return b"".join(parts)


def _machine_routes(collector: Collector) -> APIRouter:
    router = APIRouter(tags=["machines"])
    waiting = 0

    @router.post("/api/v1/ingest")
    async def ingest(request: Request) -> JSONResponse:
        """Take an agent's frames; an empty body is a sign of life. Answers after the commit."""
        nonlocal waiting
        agent = collector.access.agent(request.headers.get("authorization", ""))
        if agent is None:
            collector.metrics.requests.labels("unauthorised").inc()
            raise HTTPException(401, "unauthorised", {"WWW-Authenticate": "Bearer"})
        if waiting >= collector.limits.waiting_requests:
            raise IngestRefused(429, "too many requests are waiting", retry_after_s=1.0)
        waiting += 1
        try:
            body = await read_body(request, collector.limits.body_bytes)
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if body and kind != FRAMES:
                raise IngestRefused(400, f"the body must be {FRAMES}")
            receipt = await collector.ingest(agent, body, _peer(request))
        finally:
            waiting -= 1
        return JSONResponse({"accepted": receipt.accepted, "duplicate": receipt.duplicate})

    @router.get("/metrics")
    async def metrics(request: Request) -> StreamingResponse:
        """Everything current, in Prometheus text format or OpenMetrics."""
        if not collector.access.metrics(request.headers.get("authorization", "")):
            raise HTTPException(401, "unauthorised", {"WWW-Authenticate": "Bearer"})
        open_text = wants_openmetrics(request.headers.get("accept", ""))
        pieces = pages.metrics(collector, open_text)
        headers = {"Vary": "Accept, Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", "").lower():
            pieces, headers = gzipped(pieces), {**headers, "Content-Encoding": "gzip"}
        return StreamingResponse(pieces, headers={**headers, "Content-Type": OPENMETRICS if open_text else TEXT})

    @router.get("/healthz")
    async def healthz() -> JSONResponse:
        """Say if the collector can do its work; 503 if not. Names nothing of the site."""
        problems = pages.problems(collector)
        return JSONResponse({"status": "degraded" if problems else "ok", "problems": problems}, 503 if problems else 200)

    return router


def _operator(collector: Collector) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        if not collector.access.operator(request.headers.get("authorization", "")):
            raise HTTPException(401, "unauthorised", {"WWW-Authenticate": "Bearer"})

    return check


def _speaking(collector: Collector) -> Callable[[Request], Awaitable[None]]:
    async def choose(request: Request) -> None:
        asked = request.headers.get("accept-language", "").strip().lower()
        use(asked if asked[:2] in ("en", "zh") else collector.site.locale)

    return choose


def _fault_routes(collector: Collector) -> APIRouter:
    depends = [Depends(_speaking(collector)), Depends(_operator(collector))]
    router = APIRouter(prefix="/api/v1/faults", tags=["faults"], dependencies=depends)

    @router.get("")
    async def listed(
        state: Annotated[str, Query(max_length=32)] = "open",
        level: Annotated[str, Query(max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=100_000)] = 1000,
    ) -> JSONResponse:
        """List faults, newest first: open, closed, all, or of one state."""
        views = await _read(collector, lambda db: fault_store.list_faults(db, state, level, limit))
        return JSONResponse({"faults": [fault_json(view) for view in views]})

    @router.get("/{fault_id}")
    async def shown(fault_id: str) -> JSONResponse:
        """Show one fault with its alarms, clocks and history."""
        view = await collector.fault(fault_id)
        if view is None:
            raise HTTPException(404, _("there is no fault {id}").format(id=ascii(fault_id[:80])))
        return JSONResponse(fault_json(view))

    @router.post("/{fault_id}/{step}")
    async def step(fault_id: str, step: str, request: Request) -> JSONResponse:
        """Take a step with a fault. The body is a JSON object of texts: person, note, and what the step wants."""
        fields = _fields(await read_body(request, STEP_BYTES))
        person, note = fields.pop("person", "").strip(), fields.pop("note", "")
        if not person:
            raise HTTPException(400, _("who takes this step? give `person`"))
        try:
            view = await collector.act(fault_id, step, person, note, _peer(request), fields.items())
        except Refusal as refusal:
            return _not_taken(refusal.__cause__, fault_id)
        if view is None:
            raise HTTPException(404, _("there is no fault {id}").format(id=ascii(fault_id[:80])))
        return JSONResponse(fault_json(view))

    return router


def _not_taken(cause: BaseException | None, fault_id: str) -> JSONResponse:
    if isinstance(cause, IllegalStep):
        return _error(409, str(cause), allowed=list(cause.allowed))
    if isinstance(cause, UnknownFault):
        return _error(404, _("there is no fault {id} in hand").format(id=ascii(fault_id[:80])))
    return _error(400, _("this step does not take these fields"), str(cause))


def _fields(body: bytes) -> dict[str, str]:
    """Return the JSON object of texts in a body; an empty body is an empty object.

    Raises:
        HTTPException: 400, anything else.
    """
    try:
        found = json.loads(body or b"{}", object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise HTTPException(400, _("the body must be a JSON object")) from None
    if not isinstance(found, dict) or any(not isinstance(value, str) for value in found.values()):
        raise HTTPException(400, _("the body must be a JSON object of texts"))
    if {"fault_id", "step", "now"} & found.keys():
        raise HTTPException(400, _("this step does not take these fields"))
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _value in pairs}) != len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _page_routes(collector: Collector) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["pages"], dependencies=[Depends(_operator(collector))])

    @router.get("/devices")
    async def devices() -> JSONResponse:
        """List the devices of the site, with what is known of each."""
        return JSONResponse({"devices": await _read(collector, lambda db: pages.devices(collector.site, db))})

    @router.get("/agents")
    async def all_agents() -> JSONResponse:
        """List the agents, when each was heard, and what is missing of it."""
        return JSONResponse({"agents": pages.agents_of(collector)})

    @router.get("/gaps")
    async def gaps(limit: Annotated[int, Query(ge=1, le=100_000)] = 1000) -> JSONResponse:
        """List what agents made and never delivered, newest first."""
        rows = await _read(collector, lambda db: agents.load_gaps(db, limit=limit))
        return JSONResponse({"gaps": [pages.gap(row) for row in rows]})

    @router.get("/rules")
    async def rules() -> JSONResponse:
        """List the alarm rules and how the last evaluation of each went."""
        return JSONResponse({"rules": pages.rules(collector)})

    @router.get("/audit")
    async def entries(limit: Annotated[int, Query(ge=1, le=100_000)] = 1000) -> JSONResponse:
        """List refusals, conflicts and persons' steps, newest first."""
        rows = await _read(collector, lambda db: audit.load_audit(db, limit))
        return JSONResponse({"audit": [pages.audit_entry(row) for row in rows]})

    return router


async def _read(collector: Collector, read: Callable[[sqlite3.Connection], T]) -> T:
    """Read what is committed, in a thread."""

    def reading() -> T:
        with collector.reader.reading() as connection:
            return read(connection)

    return await asyncio.to_thread(reading)
