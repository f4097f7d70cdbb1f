"""The service described: as an OpenAPI document, and as a page that needs no network."""

from __future__ import annotations

from html import escape
from typing import Any

from srspace import __version__
from srspace.serve.asking import asks
from srspace.serve.settings import ServeSettings

_ERRORS = {
    "400": "something that was asked for is unknown or out of range", "401": "the token is missing or wrong",
    "406": "no format of Accept can be written", "408": "the file came too slowly",
    "413": "the file or the picture is too large", "415": "not a picture in a format that is read",
    "422": "the picture is damaged, or the result cannot be what was asked for",
    "429": "no room at the moment; see Retry-After", "503": "not enough memory, or the service is stopping",
    "504": "not finished in time",
}  # fmt: skip
_STYLE = (
    "body{font:1rem/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2rem .6rem;text-align:left;vertical-align:top}"
    "code{background:#eee;padding:0 .2rem}"
)


def document(settings: ServeSettings, modes: list[str]) -> dict[str, Any]:
    """The OpenAPI 3.1 document.

    Args:
        settings: of the service.
        modes: names of those that can be asked for.
    """
    parameters = [
        {
            "name": ask.name, "in": "query", "description": ask.help,
            "schema": dict(ask.schema) | ({"enum": modes} if ask.name == "mode" else {}),
        }
        for ask in asks().values()
    ]  # fmt: skip
    later = {
        "name": "async", "in": "query", "schema": {"type": "boolean"},
        "description": "Answer at once with a job, whose result is fetched later.",
    }  # fmt: skip
    picture = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
    failed = {code: _json(words, "Error") for code, words in _ERRORS.items()}
    id_ = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    unknown = {"404": _json("there is no such job", "Error")}
    form = {
        "type": "object",
        "properties": {"picture": {"type": "string", "format": "binary"}},
        "required": ["picture"],
    }
    form["properties"] |= {p["name"]: p["schema"] for p in parameters}  # type: ignore[operator]
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "srspace", "version": __version__, "description": "Super-resolution with a dial."},
        "paths": {
            "/upscale": {
                "post": {
                    "summary": "Upscale a picture",
                    "description": f"At most {settings.max_upload / 1e6:g} MB and {settings.max_pixels / 1e6:g}"
                    " megapixels. What is asked for may also stand in the form.",
                    "parameters": [later, *parameters],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                            "image/*": {"schema": {"type": "string", "format": "binary"}},
                            "multipart/form-data": {"schema": form},
                        },
                    },
                    "responses": {
                        "200": {
                            "description": "the result; the header Srspace-Record tells how it was made",
                            "content": picture,
                        },
                        "202": _json("a job", "Job"),
                    }
                    | failed,
                }
            },
            "/jobs/{id}": {
                "parameters": [id_],
                "get": {"summary": "How far a job is", "responses": {"200": _json("the job", "Job")} | unknown},
                "delete": {
                    "summary": "Stop a job and throw its result away",
                    "responses": {"204": {"description": "done"}} | unknown,
                },
            },
            "/jobs/{id}/result": {
                "parameters": [id_],
                "get": {
                    "summary": "The result of a job",
                    "responses": {
                        "200": {"description": "the result", "content": picture},
                        "409": _json("it is not finished", "Error"),
                    }
                    | unknown
                    | failed,
                },
            },
            "/health": {
                "get": {"summary": "Whether the service works", "responses": {"200": {"description": "it does"}}}
            },
            "/metrics": {
                "get": {"summary": "Figures for Prometheus", "responses": {"200": {"description": "the figures"}}}
            },
        },
        "components": {
            "schemas": {
                "Error": {"type": "object", "properties": {"error": {"type": "string"}}},
                "Job": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string"},
                        "state": {"enum": ["queued", "running", "done", "failed"]},
                        "share": {"type": "number"},
                        "error": {"type": ["string", "null"]},
                        "record": {"type": "object"},
                        "result": {"type": "string"},
                    },
                },
            }
        },
    }
    if settings.token is not None:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def page(document: dict[str, Any]) -> str:
    """The document as HTML, without scripts."""
    parts = [f"<h1>srspace {escape(document['info']['version'])}</h1>"]
    parts.append("<p>The same for programs: <a href='openapi.json'>openapi.json</a></p>")
    for path, item in document["paths"].items():
        for method, told in item.items():
            if method != "parameters":
                parts.append(_operation(method, path, told))
    body = "".join(parts)
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>srspace: the service</title><style>{_STYLE}</style><body>{body}</body></html>"
    )


def _operation(method: str, path: str, told: dict[str, Any]) -> str:
    parts = [f"<h2>{escape(told['summary'])}</h2><p><code>{method.upper()} {escape(path)}</code></p>"]
    if "description" in told:
        parts.append(f"<p>{escape(told['description'])}</p>")
    rows = [(p["name"], _kind(p["schema"]), p["description"]) for p in told.get("parameters", ())]
    if rows:
        parts.append(_table(("asked for", "type", "meaning"), rows))
    answers = [(code, "", answer["description"]) for code, answer in told["responses"].items()]
    parts.append(_table(("status", "", "meaning"), answers))
    return "".join(parts)


def _kind(schema: dict[str, Any]) -> str:
    choices = schema.get("enum")
    return ", ".join(choices) if choices else str(schema["type"])


def _table(head: tuple[str, ...], rows: list[tuple[str, str, str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _json(words: str, name: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": words, "content": {"application/json": {"schema": schema}}}
