from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from srspace.serve.app import create_app
from srspace.serve.settings import ServeSettings
from srspace.serve.studio import Studio

HERE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def service(tiny: Path) -> ServeSettings:
    return ServeSettings(
        weights=str(tiny / "x4"), device="cpu", precision="fp32", queue=3, max_upload=100_000, max_pixels=2500
    )


@pytest.fixture(scope="module")
def studio(service: ServeSettings) -> Studio:
    return Studio(service)


@pytest.fixture
def client(service: ServeSettings, studio: Studio) -> Iterator[TestClient]:
    with TestClient(create_app(service, studio), base_url=HERE) as client:
        yield client
