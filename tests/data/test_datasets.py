from __future__ import annotations

import hashlib
import io
import shutil
import socket
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.cli.main import main
from srspace.data import catalog as catalogue
from srspace.data import datasets
from srspace.data.datasets import find_pairs, load_catalog, locate, open_dataset, pull
from srspace.data.download import Archive, fetch, unpack
from srspace.errors import DataError, SeveralLrFoldersError
from srspace.metrics import psnr
from srspace.resize import imresize


def picture(path: Path, width: int = 24, height: int = 16, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def names(pairs: list[datasets.Pair]) -> list[tuple[str, str, str | None]]:
    return [(p.name, p.hr.name, p.lr.name if p.lr else None) for p in pairs]


def test_a_folder_of_hr_images(tmp_path: Path):
    picture(tmp_path / "b.png")
    picture(tmp_path / "fox4.png")
    (tmp_path / "notes.txt").write_text("")
    assert names(find_pairs(tmp_path, scale=4)) == [("b", "b.png", None), ("fox4", "fox4.png", None)]


def test_hr_and_lr_in_one_folder(tmp_path: Path):
    for stem in ("a", "b"):
        picture(tmp_path / f"{stem}_HR.png")
        picture(tmp_path / f"{stem}_LR.png", 6, 4)
    assert names(find_pairs(tmp_path, scale=4)) == [("a", "a_HR.png", "a_LR.png"), ("b", "b_HR.png", "b_LR.png")]


@pytest.mark.parametrize("lr_name", ["{}.png", "{}x4.png", "{}_x4.png", "{}_LR.png", "{}_LR_x4.png", "{}x4_LR.png"])
@pytest.mark.parametrize("folders", [("HR", "LR"), ("HR", "LR_bicubic/X4"), ("valid_HR", "valid_LR_bicubic/X4")])
def test_hr_and_lr_folders(tmp_path: Path, lr_name: str, folders: tuple[str, str]):
    for stem in ("0801", "0802"):
        picture(tmp_path / folders[0] / f"{stem}.png")
        picture(tmp_path / folders[1] / lr_name.format(stem), 6, 4)
    picture(tmp_path / "LR_bicubic" / "X2" / "0801x2.png", 12, 8)
    for pairs in (
        find_pairs(tmp_path, scale=4),
        find_pairs(tmp_path / folders[0], scale=4, lr_folder=tmp_path / folders[1]),
    ):
        assert [p.name for p in pairs] == ["0801", "0802"]
        assert [p.lr.stem[:4] for p in pairs if p.lr] == ["0801", "0802"]


def test_what_does_not_fit_is_said_in_one_sentence(tmp_path: Path):
    with pytest.raises(DataError, match="is not a folder"):
        find_pairs(tmp_path / "missing", scale=4)
    with pytest.raises(DataError, match="no pictures"):
        find_pairs(tmp_path, scale=4)
    picture(tmp_path / "HR" / "a.png")
    picture(tmp_path / "LR" / "b.png")
    with pytest.raises(DataError, match=r"a.png has no LR image"):
        find_pairs(tmp_path, scale=4)
    picture(tmp_path / "LR" / "a_LR.png")
    picture(tmp_path / "LR" / "ax4.png")
    with pytest.raises(DataError, match="2 LR images"):
        find_pairs(tmp_path, scale=4)
    picture(tmp_path / "LR_unknown" / "a.png")
    with pytest.raises(SeveralLrFoldersError):
        find_pairs(tmp_path, scale=4)
    picture(tmp_path / "other_HR" / "a.png")
    with pytest.raises(DataError, match="2 folders of HR images"):
        find_pairs(tmp_path, scale=4)


def test_loading_cuts_hr_and_makes_lr_as_matlab_does(tmp_path: Path):
    path = picture(tmp_path / "a.png", 26, 19)
    hr, lr = find_pairs(tmp_path, scale=4)[0].load(4)
    pixels = np.asarray(Image.open(path))[:16, :24]
    assert np.array_equal(hr.permute(1, 2, 0).numpy(), pixels)
    assert np.array_equal(lr.permute(1, 2, 0).numpy(), imresize(pixels, 0.25))


def test_loading_cuts_hr_to_the_lr_file_or_refuses_it(tmp_path: Path):
    picture(tmp_path / "HR" / "a.png", 26, 19)
    picture(tmp_path / "LR" / "a.png", 6, 4)
    hr, lr = find_pairs(tmp_path, scale=4)[0].load(4)
    assert hr.shape == (3, 16, 24) and lr.shape == (3, 4, 6)
    picture(tmp_path / "LR" / "a.png", 7, 4)
    with pytest.raises(DataError, match="not 4 times as large"):
        find_pairs(tmp_path, scale=4)[0].load(4)
    (tmp_path / "LR" / "a.png").write_text("no picture")
    with pytest.raises(DataError, match="not a picture"):
        find_pairs(tmp_path, scale=4)[0].load(4)


def test_loading_reads_as_the_upscaler_does(tmp_path: Path):
    samples = np.random.default_rng(0).integers(0, 65536, (16, 24), np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(samples).save(tmp_path / "deep.png")
    Image.fromarray((samples >> 8).astype(np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    deep, turned = (pair.load(4)[0] for pair in find_pairs(tmp_path, scale=4))
    assert deep.shape == (3, 16, 24) and turned.shape == (3, 24, 16)
    assert np.abs(deep[0].numpy() - samples / 257).max() <= 0.5, "16 bits are rounded, not cut off at 255"


def test_set5_of_the_shared_folder(shared: Path):
    dataset = open_dataset(str(shared / "data" / "benchmarks" / "Set5"))
    assert len(dataset.pairs) == 5 and not dataset.made_lr
    for pair in dataset.pairs:
        hr, lr = pair.load(4)
        # The files were made elsewhere, without rounding between the passes.
        assert psnr(imresize(hr, 0.25)[None] / 255, lr[None] / 255).item() > 50


def test_the_catalogue_holds_the_public_sets():
    catalog = load_catalog()
    assert set(catalog) == {
        "div2k-val", "div2k-train", "flickr2k", "df2k", "set5", "set14", "bsd100", "urban100"
    }  # fmt: skip
    for entry in catalog.values():
        assert entry.parts or entry.archives
        for archive in entry.archives:
            assert archive.address.startswith("https://")
            assert archive.sha256 is None or len(archive.sha256) == 64
            assert archive.md5 is None or len(archive.md5) == 32


@pytest.mark.parametrize("base", ["", "DIV2K", "div2k-val"])
def test_official_folders_are_found_wherever_they_were_put(tmp_path: Path, base: str):
    picture(tmp_path / base / "DIV2K_valid_HR" / "0801.png")
    picture(tmp_path / base / "DIV2K_valid_LR_bicubic" / "X4" / "0801x4.png", 6, 4)
    dataset = open_dataset("DIV2K-val", root=tmp_path)
    assert [(p.name, p.lr.name) for p in dataset.pairs if p.lr] == [("0801", "0801x4.png")]
    shutil.rmtree(tmp_path / base / "DIV2K_valid_LR_bicubic")
    assert open_dataset("div2k-val", root=tmp_path).made_lr


class Server(ThreadingHTTPServer):
    """Serves archives; ``mode`` chooses what goes wrong, ``ranges`` records what was asked for."""

    files: dict[str, bytes]
    mode = "good"
    ranges: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        data = self.server.files.get(name)
        if "/resolve/" in self.path and not self.path.startswith("/cdn"):
            self.send_response(302)
            self.send_header("Location", f"/cdn{self.path}")
            stated = data if self.server.mode != "wrong" else b"something else"
            self.send_header("X-Linked-ETag", f'"{hashlib.sha256(stated or b"").hexdigest()}"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if data is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.mode != "no ranges" else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = len(data)
        if self.server.mode == "cut" or (self.server.mode == "cut once" and not start):
            end = start + max(1, (len(data) - start) // 2) if self.server.mode == "cut once" else start
        self.wfile.write(data[start:end])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.ranges = []
    polling = {"poll_interval": 0.01}  # shutting down waits for the next look
    threading.Thread(target=server.serve_forever, kwargs=polling, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def png(seed: int, width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def catalog(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A catalogue of two sets at home on the local server: zip archives with checksums, and one on a Hub."""
    hr = zipped({"V_HR/1.png": png(1, 24, 16), "V_HR/2.png": png(2, 32, 24)})
    lr = zipped({"V_LR/X4/1x4.png": png(3, 6, 4), "V_LR/X4/2x4.png": png(4, 8, 6)})
    server.files = {"hr.zip": hr, "lr.zip": lr, "small.tar.gz": tarred({"Small_HR/a.png": png(5, 24, 16)})}
    path = tmp_path / "catalog.toml"
    url = f"http://127.0.0.1:{server.server_port}"
    common = 'homepage = "h"\nlicence = "l"\nreference = "r"\n'
    path.write_text(
        f'[val]\ntitle = "V"\nimages = 2\nfolder = "V"\nhr = "V_HR"\nlr = {{ 4 = "V_LR/X4" }}\n{common}'
        f'[[val.archives]]\nurl = "{url}/hr.zip"\nsize = {len(hr)}\nsha256 = "{hashlib.sha256(hr).hexdigest()}"\n'
        f'[[val.archives]]\nurl = "{url}/lr.zip"\nscale = 4\nmd5 = "{hashlib.md5(lr).hexdigest()}"\n'
        f'[small]\ntitle = "S"\nimages = 1\nfolder = "Small"\nhr = "Small_HR"\n{common}'
        f'[[small.archives]]\nhub = "owner/small"\nfile = "data/small.tar.gz"\n'
        f'[both]\ntitle = "B"\nimages = 3\nparts = ["val", "small"]\n{common}'
    )
    monkeypatch.setattr(catalogue, "CATALOG", path)
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setenv("SRSPACE_DATA", str(tmp_path / "data"))
    load_catalog.cache_clear()
    yield tmp_path / "data"
    load_catalog.cache_clear()


def test_pull_fetches_checks_and_unpacks_once(server: Server, catalog: Path, capsys):
    assert main(["data", "pull", "both", "-q"]) == 0
    assert capsys.readouterr().out.strip() == str(catalog)
    assert [p.name for p in open_dataset("both").pairs] == ["1", "2", "a"]
    assert [p.lr is not None for p in open_dataset("both").pairs] == [True, True, False]
    assert sorted(p.name for p in catalog.iterdir()) == ["Small", "V"]
    before = len(server.ranges)
    pull("both")
    assert len(server.ranges) == before
    assert main(["data", "list"]) == 0 and "not here" not in capsys.readouterr().out


def test_a_benchmark_fetches_what_is_missing(server: Server, catalog: Path, capsys):
    arguments = ["bench", "val", "--rows", "bicubic", "--metrics", "psnr,lr-psnr", "--csv", "-"]
    assert main([*arguments, "--records", str(catalog / "r.jsonl")]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("bicubic,bicubic,2,")


def test_an_interrupted_download_goes_on(server: Server, catalog: Path):
    server.mode = "cut once"
    base = pull("val")
    assert len(list((base / "V_HR").iterdir())) == 2
    starts = [r for r in server.ranges if r]
    assert starts and all(int(r.removeprefix("bytes=").rstrip("-")) > 0 for r in starts)


def test_a_part_left_by_an_earlier_run_is_used(server: Server, catalog: Path):
    part = catalog / ".archives" / "hr.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.files["hr.zip"][:100])
    pull("val")
    assert server.ranges[0] == "bytes=100-"


@pytest.mark.parametrize("length", [100, None])
def test_a_server_without_ranges_starts_over(server: Server, catalog: Path, length: int | None):
    server.mode = "no ranges"
    part = catalog / ".archives" / "hr.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.files["hr.zip"][:length])
    assert len(list((pull("val") / "V_HR").iterdir())) == 2


def test_a_part_that_is_already_whole_is_finished(server: Server, catalog: Path):
    part = catalog / ".archives" / "hr.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.files["hr.zip"])
    assert len(list((pull("val") / "V_HR").iterdir())) == 2


def one_sentence(capsys, words: str) -> None:
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1 and words in lines[0] and lines[0].endswith("."), printed


def test_a_connection_that_keeps_breaking_is_said_and_the_part_stays(server: Server, catalog: Path, capsys):
    server.mode = "cut"
    part = catalog / ".archives" / "hr.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.files["hr.zip"][:100])
    assert main(["data", "pull", "val", "-q"]) == 1
    one_sentence(capsys, "goes on from there")
    assert part.read_bytes() == server.files["hr.zip"][:100]


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("hr.zip", lambda data: data + b"x", "bytes instead of"),
        ("hr.zip", lambda data: data[:-1] + b"x", "sha256 checksum"),
        ("lr.zip", lambda data: data[:-1] + b"x", "md5 checksum"),
        ("hr.zip", None, "answers 404"),
    ],
)
def test_a_wrong_archive_is_thrown_away(
    server: Server, catalog: Path, capsys, name: str, damage: Callable[[bytes], bytes] | None, words: str
):
    whole = server.files.pop(name)
    if damage:
        server.files[name] = damage(whole)
    assert main(["data", "pull", "val", "-q"]) == 1
    one_sentence(capsys, words)
    assert not list(catalog.rglob(f"{name}*"))
    server.files[name] = whole
    assert main(["data", "pull", "val", "-q"]) == 0


def test_the_checksum_that_the_hub_states_is_compared(server: Server, catalog: Path, capsys):
    server.mode = "wrong"
    assert main(["data", "pull", "small", "-q"]) == 1
    one_sentence(capsys, "checksum")


def test_a_dead_network_says_what_to_put_where(server: Server, catalog: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    text = catalogue.CATALOG.read_text().replace(f"http://127.0.0.1:{server.server_port}", dead)
    catalogue.CATALOG.write_text(text)
    load_catalog.cache_clear()
    assert main(["bench", "val", "--rows", "bicubic"]) == 1
    words = (
        f"put the unpacked V_HR and V_LR/X4 from h into {catalog / 'V'}. Or run 'srspace data pull val' with a network."
    )
    one_sentence(capsys, words)


def test_unknown_names_are_refused(catalog: Path, capsys):
    assert main(["data", "pull", "nothing"]) == 2
    one_sentence(capsys, "neither a data set nor a metric")
    assert main(["bench", "nothing", "--rows", "bicubic"]) == 1
    one_sentence(capsys, "neither a folder nor a data set")


@pytest.mark.parametrize("make", [zipped, tarred])
def test_archives_that_reach_outside_are_refused(tmp_path: Path, make: Callable[[dict[str, bytes]], bytes]):
    (tmp_path / "bad").write_bytes(make({"in/a.png": b"a", "../outside.png": b"b"}))
    with pytest.raises(DataError, match="not safe"):
        unpack(tmp_path / "bad", tmp_path / "to", lambda share: None)
    assert not (tmp_path / "outside.png").exists() and list((tmp_path / "to").iterdir()) == []


def test_a_damaged_archive_leaves_nothing(tmp_path: Path):
    (tmp_path / "bad.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match="damaged"):
        unpack(tmp_path / "bad.zip", tmp_path / "to", lambda share: None)
    assert list((tmp_path / "to").iterdir()) == []


def test_no_room_is_said_before_anything_is_written(server: Server, catalog: Path, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(catalog.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    archive = Archive(url=f"http://127.0.0.1:{server.server_port}/hr.zip")
    with pytest.raises(DataError, match=r"needs .* GB"):
        fetch(archive, catalog / ".archives", lambda share: None)
    assert not list((catalog / ".archives").iterdir())


def test_locate_wants_a_folder_with_something_in_it(tmp_path: Path):
    entry = load_catalog()["div2k-val"]
    (tmp_path / "DIV2K_valid_HR").mkdir()
    assert locate(entry, tmp_path) is None
