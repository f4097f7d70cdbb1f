"""What the service answers to."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from srspace import __version__
from srspace.batch import BatchSettings
from srspace.errors import (
    AgreementError,
    BusyError,
    CheckpointError,
    ForeignFormatError,
    ImageError,
    LateError,
    MissingReaderError,
    OutputError,
    ResourceError,
    SRSpaceError,
    TooManyPixelsError,
    UnknownFormatError,
    UsageError,
    WeightsError,
)
from srspace.images import writable
from srspace.serve import openapi
from srspace.serve.asking import batch_settings, parse_flag
from srspace.serve.jobs import Job, Jobs, Slot
from srspace.serve.metrics import Metrics
from srspace.serve.settings import ServeSettings
from srspace.serve.studio import Answer, Studio, named

MEDIA_TYPES = {
    "png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "avif": "image/avif", "gif": "image/gif",
    "tiff": "image/tiff", "jxl": "image/jxl",
}  # fmt: skip
RECORD = "Srspace-Record"
"""Header of a result that tells how it was made, as JSON."""

_STATUS: dict[type[SRSpaceError], int] = {
    BusyError: 429, LateError: 504, TooManyPixelsError: 413, UnknownFormatError: 415, ForeignFormatError: 415,
    MissingReaderError: 415, UsageError: 400, ImageError: 422, AgreementError: 422, OutputError: 422,
    ResourceError: 503, WeightsError: 503, CheckpointError: 503,
}  # fmt: skip
_UPLOAD_SECONDS = 60
_FORM_BYTES = 2**16  # what a form may hold beside the file
_RECORD_BYTES = 4000
_BODIES = ("image/", "multipart/form-data", "application/octet-stream", "application/x-www-form-urlencoded")
_PATHS = ("/upscale", "/health", "/metrics", "/openapi.json", "/docs")
_OPEN = ("/health", "/docs", "/openapi.json")


@dataclass(frozen=True)
class Upload:
    """A picture that was sent.

    Attributes:
        data: the file.
        name: what to call it in messages.
        asked: what is wanted, as it was written.
    """

    data: bytes
    name: str
    asked: dict[str, str]


def create_app(settings: ServeSettings, studio: Studio) -> ASGIApp:
    """The service as an ASGI application.

    Args:
        settings: of the service.
        studio: where pictures are upscaled.
    """
    service = _Service(settings, studio)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.jobs.stop)

    app = Starlette(
        routes=[
            Route("/upscale", service.upscale, methods=["POST"]),
            Route("/jobs/{id}", service.job, methods=["GET"]),
            Route("/jobs/{id}", service.forget, methods=["DELETE"]),
            Route("/jobs/{id}/result", service.result, methods=["GET"]),
            Route("/health", service.health),
            Route("/metrics", service.metrics),
            Route("/openapi.json", service.openapi),
            Route("/docs", service.docs),
        ],
        exception_handlers={SRSpaceError: _refused, HTTPException: _refused},
        lifespan=lifespan,
    )
    return _Gate(app, settings, service.counted)


class _Service:
    def __init__(self, settings: ServeSettings, studio: Studio) -> None:
        self._settings, self._studio = settings, studio
        self.jobs = Jobs(studio, settings)
        self._metrics = Metrics(lambda: self.jobs.accepted)

    def counted(self, path: str, status: int) -> None:
        known = "/jobs" if path.startswith("/jobs/") else path if path in _PATHS else "other"
        self._metrics.requests.labels(known, status).inc()

    async def upscale(self, request: Request) -> Response:
        _check_body(request)
        slot = self.jobs.admit()
        try:
            upload = await self._upload(request)
            later = _flag(upload.asked, "async")
            asked = self._asked(upload.asked, request)
            job = self._submit(slot, upload, asked, keep=later)
        except BaseException:
            slot.release()
            raise
        if later:
            return JSONResponse(_told(job), 202, {"Location": f"/jobs/{job.id}"})
        return await self._awaited(job, request)

    async def job(self, request: Request) -> Response:
        return JSONResponse(_told(self._found(request)))

    async def forget(self, request: Request) -> Response:
        if not self.jobs.forget(request.path_params["id"]):
            raise HTTPException(404, "there is no such job.")
        return Response(status_code=204)

    async def result(self, request: Request) -> Response:
        job = self._found(request)
        if job.state in ("queued", "running"):
            raise HTTPException(409, f"the job is {job.state}.", {"Retry-After": "1"})
        if job.error is not None:
            return await _refused(request, job.error)
        return _answered(job.future.result())

    async def health(self, request: Request) -> Response:
        studio, settings = self._studio, self._settings
        return JSONResponse(
            {
                "status": "ok", "version": __version__, "weights": named(settings.weights), "scale": studio.scale,
                "device": studio.device, "precision": studio.precision, "modes": list(studio.modes),
                "accepted": self.jobs.accepted, "room": settings.queue,
            }
        )  # fmt: skip

    async def metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=self._metrics.media_type)

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(openapi.document(self._settings, list(self._studio.modes)))

    async def docs(self, request: Request) -> Response:
        return HTMLResponse(openapi.page(openapi.document(self._settings, list(self._studio.modes))))

    def _found(self, request: Request) -> Job:
        job = self.jobs.find(request.path_params["id"])
        if job is None:
            raise HTTPException(404, "there is no such job.")
        return job

    def _asked(self, asked: dict[str, str], request: Request) -> BatchSettings:
        if "format" not in asked:
            wanted = _accepted(request.headers.get("accept"))
            asked = asked if wanted is None else asked | {"format": wanted}
        return self._studio.settled(batch_settings(asked, self._settings))

    def _submit(self, slot: Slot, upload: Upload, asked: BatchSettings, *, keep: bool) -> Job:
        loop = asyncio.get_running_loop()

        def done(job: Job) -> None:
            with suppress(RuntimeError):  # the service has stopped
                loop.call_soon_threadsafe(self._finished, slot, job)

        return self.jobs.submit(slot, upload.data, upload.name, asked, done, keep=keep)

    def _finished(self, slot: Slot, job: Job) -> None:
        slot.release()
        if job.state == "done":
            self._metrics.upscaled(job.future.result().record)

    async def _awaited(self, job: Job, request: Request) -> Response:
        """The answer; where the client goes away, the picture is dropped."""
        finished = asyncio.ensure_future(asyncio.wrap_future(job.future))
        gone = asyncio.ensure_future(_gone(request))
        try:
            waiting: set[asyncio.Future[Any]] = {finished, gone}
            await asyncio.wait(waiting, timeout=self._settings.timeout, return_when=asyncio.FIRST_COMPLETED)
            if finished.done():
                return _answered(finished.result())
            if gone.done():
                raise HTTPException(499, "the client is gone.")
            raise LateError(self._settings.timeout)
        except asyncio.CancelledError:
            if finished.cancelled():
                raise HTTPException(503, "the service is stopping.") from None
            raise
        finally:
            gone.cancel()
            if not job.future.done():
                job.drop()
            finished.cancel()

    async def _upload(self, request: Request) -> Upload:
        form = request.headers.get("content-type", "").lower().startswith("multipart/form-data")
        most = self._settings.max_upload
        try:
            async with asyncio.timeout(_UPLOAD_SECONDS):
                body = await _body(request, most + _FORM_BYTES * form, most)
        except TimeoutError as error:
            raise HTTPException(408, f"the file did not come within {_UPLOAD_SECONDS} seconds.") from error
        except ClientDisconnect as error:
            raise HTTPException(499, "the client is gone.") from error
        asked = dict(request.query_params)
        if not form:
            return Upload(body, "the picture", asked)
        fields = await Request(request.scope, partial(_replayed, body)).form(max_files=1, max_part_size=_FORM_BYTES)
        files = [value for value in fields.values() if isinstance(value, UploadFile)]
        if not files:
            raise HTTPException(400, "the form holds no file.")
        data = await files[0].read()
        if len(data) > most:
            raise _too_large(most)
        asked |= {name: value for name, value in fields.items() if isinstance(value, str)}
        name = files[0].filename
        await fields.close()
        return Upload(data, name or "the picture", asked)


class _Gate:
    """Lets nobody in without the token, and counts answers.

    Without a token, requests must name this machine: a page of the web in somebody's browser that has its own name
    resolve to this machine is kept out.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, counted: Callable[[str, int], None]) -> None:
        self._app, self._token, self._counted = app, settings.token, counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._counted(scope["path"], message["status"])
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, sent)

    def _refusal(self, request: Request) -> Response | None:
        if self._token is None:
            if _is_here(request.url.hostname or ""):
                return None
            return JSONResponse({"error": "this service answers to the names of this machine alone."}, 421)
        if request.url.path in _OPEN:
            return None
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and secrets.compare_digest(given.encode(), self._token.encode()):
            return None
        return JSONResponse({"error": "a token is needed."}, 401, {"WWW-Authenticate": "Bearer"})


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_body(request: Request) -> None:
    kind = request.headers.get("content-type", "application/octet-stream").lower()
    if not kind.startswith(_BODIES):
        raise HTTPException(415, f"send a picture or a form with one, not {kind.split(';')[0][:60]}.")


async def _body(request: Request, most: int, told: int) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_large(told)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise _too_large(told)
    return bytes(body)


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the file has more than the {most / 1e6:g} megabytes allowed.")


async def _replayed(body: bytes) -> Message:
    return {"type": "http.request", "body": body, "more_body": False}


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _flag(asked: dict[str, str], name: str) -> bool:
    text = asked.pop(name, "0")
    try:
        return parse_flag(text)
    except ValueError as error:
        raise UsageError(f"{name} must be of the type boolean, not {text[:40]!r}.") from error


def _accepted(header: str | None) -> str | None:
    """The format that an Accept header asks for; None where any will do."""
    wanted = [part.split(";")[0].strip().lower() for part in (header or "*/*").split(",")]
    for kind in wanted:
        if kind in ("*/*", "image/*"):
            return None
        for name in writable():
            if MEDIA_TYPES[name] == kind:
                return name
    raise HTTPException(406, f"results are {', '.join(MEDIA_TYPES[name] for name in writable())}.")


def _answered(answer: Answer) -> Response:
    record = json.dumps(answer.record)
    if len(record) > _RECORD_BYTES:
        record = json.dumps(answer.record | {"redraws": len(answer.record["redraws"])})
    headers = {RECORD: record} if len(record) <= _RECORD_BYTES else {}
    return Response(answer.file.data, media_type=MEDIA_TYPES[answer.format], headers=headers)


def _told(job: Job) -> dict[str, Any]:
    told: dict[str, Any] = {"id": job.id, "state": job.state, "share": round(job.share, 3), "error": None}
    if job.state == "done":
        told |= {"record": job.future.result().record, "result": f"/jobs/{job.id}/result"}
    elif job.error is not None:
        told["error"] = _words(job.error)[1]
    return told


def _words(error: BaseException) -> tuple[int, str]:
    """Status and sentence of an error."""
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail)
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return status, str(error)
    if isinstance(error, CancelledError):
        return 503, "the service is stopping."
    return 500, f"unexpected {type(error).__name__}."


async def _refused(request: Request, error: BaseException) -> Response:
    status, words = _words(error)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(error.seconds)
    return JSONResponse({"error": words}, status, headers)
