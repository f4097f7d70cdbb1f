from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from srspace.batch import BatchSettings, upscale_files
from srspace.config import SamplingConfig
from srspace.images import read_picture
from srspace.serve import studio as studio_module
from srspace.serve.app import RECORD, create_app
from srspace.serve.settings import ServeSettings
from srspace.serve.studio import Studio
from tests.pictures import encoded, picture
from tests.processes import wait_until
from tests.serve.conftest import HERE

ASKED = {"samples": "2", "seed": "3"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return picture(tmp_path / "a.png")


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Pictures wait before they are computed, until what this gives is called, or for so long that tests fail."""
    gate, whole = threading.Event(), studio_module.Computer.__call__

    def waiting(self, decoded, progress=None):
        end = time.monotonic() + 6
        while not gate.wait(0.01) and time.monotonic() < end:
            progress(0.1)
        return whole(self, decoded, progress)

    monkeypatch.setattr(studio_module.Computer, "__call__", waiting)
    return gate.set


def state_of(client: TestClient, job: str) -> str:
    return client.get(f"/jobs/{job}").json()["state"]


def test_the_answer_is_what_the_command_line_makes(client: TestClient, service: ServeSettings, source: Path):
    answer = client.post("/upscale", params=ASKED, content=source.read_bytes())
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    sampling = SamplingConfig(samples=2, seed=3)
    settings = BatchSettings(weights=service.weights, sampling=sampling, device="cpu", precision="fp32")
    (outcome,) = upscale_files(source, settings)
    assert np.array_equal(read_picture(answer.content).rgb, read_picture(outcome.output).rgb)
    record, expected = json.loads(answer.headers[RECORD]), outcome.record()
    left_out = {"input", "output", "error", "seconds", "settings_sha256", "weights"}
    assert record["weights"] == client.get("/health").json()["weights"] == "x4", "no path is given away"
    assert {k: v for k, v in record.items() if k not in left_out} == {
        k: v for k, v in expected.items() if k not in left_out
    }


def test_a_form_is_as_good_as_a_body(client: TestClient, source: Path):
    data = source.read_bytes()
    body = client.post("/upscale", params=ASKED | {"scale": "1.5"}, content=data, headers={"content-type": "image/png"})
    form = client.post("/upscale", data=ASKED | {"scale": "1.5"}, files={"picture": ("a.png", data)})
    assert body.status_code == form.status_code == 200, form.text
    assert body.content == form.content and Image.open(io.BytesIO(body.content)).size == (12, 9)


@pytest.mark.parametrize(
    ("asked", "accept", "format"),
    [
        ({}, "image/webp,*/*", "WEBP"),
        ({}, "text/html,image/*;q=0.8", "PNG"),
        ({"format": "jpg"}, "image/webp", "JPEG"),
    ],
)
def test_the_format_is_as_asked(client: TestClient, source: Path, asked: dict, accept: str, format: str):
    options = {"mode": "rrdb", **asked}
    answer = client.post("/upscale", params=options, content=source.read_bytes(), headers={"accept": accept})
    assert Image.open(io.BytesIO(answer.content)).format == format
    assert answer.headers["content-type"] == f"image/{format.lower()}"


def test_a_still_gif_becomes_png_and_an_animation_stays_one(client: TestClient):
    frames = [Image.new("P", (6, 5), i) for i in range(2)]
    for frame in frames:
        frame.putpalette([90, 120, 150, 110, 100, 90])
    still, moving = encoded(frames[0], "GIF"), encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    answers = [client.post("/upscale", params={"mode": "rrdb"}, content=data) for data in (still, moving)]
    assert [a.headers["content-type"] for a in answers] == ["image/png", "image/gif"]
    assert json.loads(answers[1].headers[RECORD])["frames"] == 2


PNG = encoded(Image.new("RGB", (4, 4), (100, 120, 140)))


@pytest.mark.parametrize(
    ("asked", "body", "headers", "status", "words"),
    [
        ({}, b"", {}, 422, "the picture is empty."),
        ({}, PNG[:60], {}, 422, "the picture is damaged or cut short"),
        ({}, b"hello", {}, 415, "not a picture in a known format"),
        ({}, b"%PDF-1.7 ...", {}, 415, "a PDF document"),
        ({}, PNG, {"content-type": "application/json"}, 415, "send a picture or a form with one"),
        ({}, PNG, {"accept": "text/html"}, 406, "image/png"),
        ({}, b"x" * 100_001, {}, 413, "more than the 0.1 megabytes"),
        ({}, encoded(Image.new("RGB", (51, 50))), {}, 413, "0.00255 megapixels, more than the 0.0025 allowed"),
        ({"scale": "two"}, PNG, {}, 400, "scale must be of the type number, not 'two'."),
        ({"scale": "9"}, PNG, {}, 400, "at most 8"),
        ({"scale": "2", "width": "9"}, PNG, {}, 400, "not by scale and width"),
        ({"width": "900"}, PNG, {}, 422, "more than 8 times"),
        ({"taw": "1"}, PNG, {}, 400, "did you mean tau?"),
        ({"mode": "dial"}, PNG, {}, 400, "the mode must be one of mean, median, sample, rrdb"),
        ({"async": "perhaps"}, PNG, {}, 400, "async"),
        ({"min_lr_psnr": "99"}, PNG, {}, 422, "99 dB"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(client, asked: dict, body: bytes, headers: dict, status: int, words: str):
    answer = client.post("/upscale", params=asked, content=body, headers=headers)
    assert answer.status_code == status and words in answer.json()["error"], answer.text
    assert client.get("/health").json()["accepted"] == 0


def test_forms_without_a_file_and_large_ones(client: TestClient):
    assert client.post("/upscale", data={"scale": "2"}, files={"a": (None, "text")}).status_code == 400
    large = client.post("/upscale", files={"picture": ("a.png", b"x" * 120_000)})
    assert (large.status_code, large.json()["error"]) == (413, "the file has more than the 0.1 megabytes allowed.")
    slightly = client.post("/upscale", files={"picture": ("a.png", b"x" * 100_001)})
    assert slightly.status_code == 413
    bad = client.post("/upscale", files={"picture": ("rose.png", PNG[:60])})
    assert bad.json()["error"].startswith("rose.png is damaged")


def test_a_body_that_tells_no_length_is_cut_off(client: TestClient):
    parts = (b"x" * 10_000 for _ in range(1000))
    assert client.post("/upscale", content=parts).status_code == 413


def test_beyond_the_queue_there_is_no_room(client: TestClient, held: Callable[[], None]):
    jobs = [client.post("/upscale", params={"async": "1", "mode": "rrdb"}, content=PNG) for _ in range(3)]
    assert [job.status_code for job in jobs] == [202] * 3
    refused = client.post("/upscale", content=PNG)
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
    held()
    wait_until(lambda: client.get("/health").json()["accepted"] == 0)
    assert client.post("/upscale", params={"mode": "rrdb"}, content=PNG).status_code == 200


def test_a_job_is_followed_fetched_and_forgotten(client: TestClient, held: Callable[[], None]):
    made = client.post("/upscale", params={"async": "yes", "mode": "rrdb"}, content=PNG)
    job, place = made.json()["id"], made.headers["location"]
    assert place == f"/jobs/{job}" and state_of(client, job) in ("queued", "running")
    assert client.get(f"{place}/result").status_code == 409
    held()
    wait_until(lambda: state_of(client, job) == "done")
    told = client.get(place).json()
    assert told["record"]["width"] == 16 and told["error"] is None
    assert Image.open(io.BytesIO(client.get(told["result"]).content)).size == (16, 16)
    assert client.delete(place).status_code == 204
    assert client.get(place).status_code == client.delete(place).status_code == 404


def test_a_job_that_fails_tells_why(client: TestClient):
    job = client.post("/upscale", params={"async": "1"}, content=PNG[:60]).json()["id"]
    wait_until(lambda: state_of(client, job) == "failed")
    assert "damaged" in client.get(f"/jobs/{job}").json()["error"]
    assert client.get(f"/jobs/{job}/result").status_code == 422


def test_a_job_that_is_deleted_stops_and_gives_its_room_back(client: TestClient, held: Callable[[], None]):
    places = [client.post("/upscale", params={"async": "1"}, content=PNG).headers["location"] for _ in range(3)]
    for place in places:
        assert client.delete(place).status_code == 204
    wait_until(lambda: client.get("/health").json()["accepted"] == 0, 3)


def test_a_picture_that_takes_too_long_is_given_up(service: ServeSettings, studio: Studio, held: Callable[[], None]):
    app = create_app(replace(service, timeout=0.2), studio)
    with TestClient(app, base_url=HERE) as client:
        start = time.monotonic()
        late = client.post("/upscale", content=PNG)
        assert late.status_code == 504 and "0.2 seconds" in late.json()["error"] and time.monotonic() - start < 3
        wait_until(lambda: client.get("/health").json()["accepted"] == 0, 3)
        job = client.post("/upscale", params={"async": "1"}, content=PNG).json()["id"]
        wait_until(lambda: state_of(client, job) == "failed", 3)
        assert client.get(f"/jobs/{job}/result").status_code == 504


def test_old_results_and_too_many_go(service: ServeSettings, studio: Studio):
    with TestClient(create_app(replace(service, kept=1), studio), base_url=HERE) as client:
        jobs = []
        for _ in range(2):
            jobs.append(client.post("/upscale", params={"async": "1", "mode": "rrdb"}, content=PNG).json()["id"])
            wait_until(lambda: state_of(client, jobs[-1]) == "done")
        assert client.get(f"/jobs/{jobs[0]}").status_code == 404 and state_of(client, jobs[1]) == "done"
    with TestClient(create_app(replace(service, keep=0.05), studio), base_url=HERE) as client:
        job = client.post("/upscale", params={"async": "1", "mode": "rrdb"}, content=PNG).json()["id"]
        wait_until(lambda: client.get(f"/jobs/{job}").status_code == 404)


def test_a_stop_drops_what_is_at_work(service: ServeSettings, studio: Studio, held: Callable[[], None]):
    with TestClient(create_app(service, studio), base_url=HERE) as client:
        for _ in range(3):
            assert client.post("/upscale", params={"async": "1"}, content=PNG).status_code == 202
        start = time.monotonic()
    assert time.monotonic() - start < 3
    assert not [t for t in threading.enumerate() if t.name.startswith("srspace_")]


def test_a_token_is_needed_where_one_is_set(service: ServeSettings, studio: Studio):
    with TestClient(create_app(replace(service, token="a secret"), studio), base_url="http://far.example") as client:
        assert client.get("/health").status_code == client.get("/docs").status_code == 200
        for headers in ({}, {"authorization": "Bearer another"}, {"authorization": "Basic a secret"}):
            refused = client.post("/upscale", content=PNG, headers=headers)
            assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
            assert client.get("/metrics", headers=headers).status_code == 401
        headers = {"authorization": "bearer a secret"}
        assert client.post("/upscale", params={"mode": "rrdb"}, content=PNG, headers=headers).status_code == 200


def test_without_a_token_only_names_of_this_machine_are_answered_to(client: TestClient):
    for host, status in (("localhost:8000", 200), ("[::1]:8000", 200), ("evil.example", 421)):
        assert client.get("/health", headers={"host": host}).status_code == status


def test_a_bug_is_told_without_its_insides(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    def broken(*_, **__):
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(studio_module.Computer, "__call__", broken)
    client = TestClient(client.app, base_url=HERE, raise_server_exceptions=False)
    answer = client.post("/upscale", content=PNG)
    assert answer.status_code == 500 and "secret" not in answer.text


def test_figures(client: TestClient):
    client.post("/upscale", params={"mode": "rrdb"}, content=PNG)
    client.post("/upscale", content=b"")
    client.get("/nothing")
    lines = client.get("/metrics").text.splitlines()
    for line in (
        'srspace_requests_total{path="/upscale",status="200"} 1.0',
        'srspace_requests_total{path="/upscale",status="422"} 1.0',
        'srspace_requests_total{path="other",status="404"} 1.0',
        "srspace_result_pixels_total 256.0",
        "srspace_accepted 0.0",
        "srspace_seconds_count 1.0",
    ):
        assert line in lines, line


def test_the_description_is_complete_and_its_page_needs_no_network(client: TestClient):
    told = client.get("/openapi.json").json()
    assert told["openapi"].startswith("3.") and set(told["paths"]) == {
        "/upscale", "/jobs/{id}", "/jobs/{id}/result", "/health", "/metrics",
    }  # fmt: skip
    parameters = {p["name"]: p for p in told["paths"]["/upscale"]["post"]["parameters"]}
    assert parameters["mode"]["schema"]["enum"] == ["mean", "median", "sample", "rrdb"]
    page = client.get("/docs").text
    assert all(name in page for name in parameters) and "<script" not in page and "http" not in page.split("<body>")[1]
