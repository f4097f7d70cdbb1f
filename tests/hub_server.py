"""A Hub on the loopback: as much of its protocol as fetching and publishing weights needs."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.processes import WITH_THIS_TREE

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONTENT = {"config.json": b'{"kind": "flow"}', "model.safetensors": b"weights" * 1000}


class Hub(ThreadingHTTPServer):
    """Hands out ``content``, whatever the repository; ``mode`` chooses what goes wrong.

    Attributes:
        requests: how many there were so far.
        created: bodies of the requests to create a repository.
        committed: the files of the last commit, by path.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mode, self.requests, self.content = "good", 0, dict(CONTENT)
        self.created: list[dict] = []
        self.committed: dict[str, bytes] = {}

    def environment(self, cache: Path) -> dict[str, str]:
        """See :func:`environment_for`."""
        return environment_for(self.server_port, cache)


def environment_for(port: int, cache: Path) -> dict[str, str]:
    """Variables that send the Hub's client, in a process of its own, to a port of this machine."""
    return {
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HOME": str(cache),
        "HF_TOKEN": "hf_of_a_test",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_ETAG_TIMEOUT": "3",
        "HF_HUB_DOWNLOAD_TIMEOUT": "3",
        **WITH_THIS_TREE,
    }


@contextmanager
def running_hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.download(body=False)

    def do_GET(self) -> None:
        self.download(body=True)

    def do_POST(self) -> None:
        self.server.requests += 1
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        address = f"http://127.0.0.1:{self.server.server_port}/owner/name"
        if self.server.mode == "gated":
            self.refuse(403, "GatedRepo")
        elif self.path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            self.answer({"url": address})
        elif self.path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            self.answer({"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in paths]})
        elif "/commit/" in self.path:
            entries = [json.loads(line) for line in body.splitlines()]
            files = [entry["value"] for entry in entries if entry["key"] == "file"]
            self.server.committed = {file["path"]: base64.b64decode(file["content"]) for file in files}
            self.answer({"commitUrl": f"{address}/commit/{COMMIT}", "commitOid": COMMIT})
        else:
            self.refuse(404, "EntryNotFound")

    def download(self, body: bool) -> None:
        self.server.requests += 1
        name = self.path.split("?")[0].rsplit("/", 1)[-1]
        mode = self.server.mode
        if mode == "gated" or "/owner/gated/" in self.path:
            self.refuse(403, "GatedRepo")
        elif "/owner/missing/" in self.path:
            self.refuse(404, "RepoNotFound")
        elif "/resolve/" not in self.path or name not in self.server.content:
            self.refuse(404, "EntryNotFound")
        else:
            data = self.server.content[name]
            if mode == "wrong" and name == "model.safetensors":
                data = b"garbage" * 1000
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data[: len(data) // 2] if mode == "cut" else data)

    def answer(self, content: dict) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, code: int, error: str) -> None:
        self.send_response(code)
        self.send_header("X-Error-Code", error)
        self.send_header("X-Error-Message", error)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def write_catalog(
    folder: Path, *, remote: dict[str, bytes] | None = None, bundled: dict[str, bytes] | None = None
) -> Path:
    """A root of weights in ``folder``, with an entry ``remote`` that the Hub has and one ``bundled`` in the box.

    Args:
        folder: to be made.
        remote: files of the one, by name, or None: there is no such entry.
        bundled: files of the other, likewise.
    """
    folder.mkdir()
    lines = []
    for name, content in (("remote", remote), ("bundled", bundled)):
        if content is None:
            continue
        files = ", ".join(
            f'{{ path = "{file}", sha256 = "{hashlib.sha256(data).hexdigest()}", size = {len(data)} }}'
            for file, data in content.items()
        )
        lines += [f"[{name}]", 'kind = "flow"', "scale = 4", 'architecture = "a"', 'description = "d"']
        lines += ['licence = "l"', 'training_data = "t"', f"files = [{files}]"]
        if name == "remote":
            lines += ['repo = "owner/remote"', f'revision = "{COMMIT}"']
            continue
        for file, data in content.items():
            (folder / name).mkdir(exist_ok=True)
            (folder / name / file).write_bytes(data)
    (folder / "catalog.toml").write_text("\n".join(lines))
    return folder
