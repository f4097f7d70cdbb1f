from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srspace.cli.main import main
from tests.pictures import picture
from tests.processes import run, start, wait_until


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys; from srspace.cli.main import main; code = main(['upscale', '--help']);"
        "print([m for m in ('torch', 'numpy', 'PIL', 'huggingface_hub') if m in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout.rstrip().endswith("[]")
    assert run("--version").stdout.startswith(b"srspace 0")


@pytest.mark.parametrize("mode", ["mean", "median", "fusion-l1", "fusion-lpips", "sample", "rrdb"])
def test_every_mode_writes_a_picture_of_four_times_the_size(tmp_path: Path, mode: str, capsys):
    source = picture(tmp_path / "a.png")
    assert main(["upscale", str(source), "--mode", mode, "--device", "cpu", "--json"]) == 0
    with Image.open(tmp_path / "a_x4.png") as image:
        assert image.size == (32, 24)
    record = json.loads(capsys.readouterr().out)
    assert (record["status"], record["mode"], record["width"], record["height"]) == ("done", mode, 32, 24)


def test_pipes():
    data = io.BytesIO()
    Image.new("RGB", (5, 4), (100, 120, 140)).save(data, "PNG")
    done = run("upscale", "-", "--mode", "rrdb", "--json", input=data.getvalue())
    assert done.returncode == 0, done.stderr
    assert Image.open(io.BytesIO(done.stdout)).size == (20, 16)
    assert json.loads(done.stderr)["status"] == "done"


def test_a_folder_keeps_its_structure_and_a_second_run_does_nothing(tmp_path: Path, tiny: Path, capsys):
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "sub" / "a.png", seed=1)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    common = ["upscale", str(tmp_path / "in"), "--mode", "rrdb", "-w", str(tiny / "x4")]
    arguments = [*common, "-o", str(tmp_path / "out"), "-r", "--json"]
    for status in ("done", "kept"):
        assert main(arguments) == 0
        assert [json.loads(line)["status"] for line in capsys.readouterr().out.splitlines()] == [status] * 2
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.png")) == ["a_x4.png", "a_x4.png"]
    assert main(common) == 0
    assert main(common) == 0
    assert sorted(p.name for p in (tmp_path / "in").glob("*.png")) == ["a.png", "a_x4.png"]


def test_bad_files_are_reported_and_the_rest_goes_on(tmp_path: Path, tiny: Path, capsys):
    picture(tmp_path / "good.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(whole, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(whole.getvalue()[:900])
    weights = ["-w", str(tiny / "x4")]
    assert main(["upscale", str(tmp_path), "-o", str(tmp_path / "out"), "--mode", "rrdb", "-q", *weights]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith("srspace: ") and "Traceback" not in line for line in lines)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good_x4.png"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["upscale", "missing/"], 2),
        (["upscale", "--mode", "best", "IN"], 2),
        (["upscale", "--tau", "-1", "IN"], 2),
        (["upscale", "-n", "7", "--mode", "fusion-l1", "--fusion", "fusion-l1-stack-x4-lite", "IN"], 2),
        (["upscale", "--device", "abacus", "IN"], 2),
        (["upscale", "--weights", "nothing", "IN"], 3),
        (["upscale", "--scale", "2", "--width", "9", "IN"], 2),
        (["upscale", "--fit", "800", "IN"], 2),
        (["upscale", "--linear-light", "IN"], 2),
        (["upscale", "--mode", "rrdb", "--height", "5000", "IN"], 1),
        (["upscale", "-o", "IN/x/out.png", "IN"], 1),
        (["upscale", "-o", "out.xyz", "IN"], 2),
        (["upscale"], 2),
        (["upscale", "--nonsense", "IN"], 2),
    ],
)
def test_mistakes_have_their_exit_code_and_a_message(tmp_path: Path, capsys, arguments: list[str], code: int):
    source = picture(tmp_path / "a.png")
    assert main([a.replace("IN", str(source)) for a in arguments]) == code
    printed = capsys.readouterr()
    assert printed.err.strip() and "Traceback" not in printed.err and printed.out == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png"]


def test_empty_standard_input(tiny: Path):
    done = run("upscale", "-", "--mode", "rrdb", "-w", tiny / "x4")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().splitlines() == ["srspace: standard input is empty."]


def test_two_inputs_never_write_to_one_output(tmp_path: Path, capsys):
    a, b = picture(tmp_path / "1" / "a.png"), picture(tmp_path / "2" / "a.png")
    assert main(["upscale", str(a), str(b), "-o", str(tmp_path / "out")]) == 2
    assert "both" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert main(["upscale", str(a), "--suffix", ""]) == 2


def test_a_killed_run_leaves_nothing_partial_and_is_finished_by_the_next(tmp_path: Path, tiny: Path):
    for i in range(40):
        picture(tmp_path / "in" / f"{i}.png", (48, 48), seed=i)
    out = tmp_path / "out"
    arguments = ["upscale", tmp_path / "in", "-o", out, "--mode", "rrdb", "-w", tiny / "x4", "--json"]
    process = start(*arguments)
    wait_until(lambda: list(out.glob("*_x4.png")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    early = sorted(out.glob("*_x4.png"))
    assert 0 < len(early) < 40
    for path in early:
        with Image.open(path) as image:
            image.load()
    done = run(*arguments)
    assert done.returncode == 0
    statuses = [json.loads(line)["status"] for line in done.stdout.splitlines()]
    assert statuses.count("kept") == len(early) and len(list(out.glob("*_x4.png"))) == 40


def test_alpha_grey_and_depth_survive(tmp_path: Path, repeating: Path):
    Image.new("LA", (6, 6), (200, 255)).save(tmp_path / "la.png")
    rgba = Image.new("RGBA", (8, 8), (255, 255, 255, 255))
    rgba.paste((0, 0, 0, 0), (0, 0, 4, 8))
    rgba.save(tmp_path / "rgba.png")
    weights = ["-w", str(repeating)]
    assert main(["upscale", str(tmp_path), "-o", str(tmp_path / "out"), "--mode", "rrdb", *weights]) == 0
    with Image.open(tmp_path / "out" / "la_x4.png") as image:
        assert image.mode == "LA"
    with Image.open(tmp_path / "out" / "rgba_x4.png") as image:
        samples = np.asarray(image).astype(float)
    visible = samples[..., 3] > 40
    assert samples[visible][:, :3].min() > 200, "a dark fringe"


def records(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_candidates_of_equal_stems_are_kept_apart(tmp_path: Path, tiny: Path):
    for name in ("a.png", "a.jpg", "sub/a.png"):
        picture(tmp_path / "in" / name)
    arguments = ["upscale", str(tmp_path / "in"), "-r", "-w", str(tiny / "x4"), "-n", "2", "-o", str(tmp_path / "out")]
    assert main([*arguments, "--save-samples", str(tmp_path / "s")]) == 0
    saved = sorted(str(p.relative_to(tmp_path / "s")) for p in (tmp_path / "s").rglob("*.png"))
    assert saved == [f"{name}_00{i}.png" for name in ("a.jpg", "a.png", "sub/a.png") for i in (0, 1)]


def test_candidates_that_exist_are_not_replaced_by_others(tmp_path: Path, tiny: Path, capsys):
    source, folder = picture(tmp_path / "a.png"), tmp_path / "s"
    arguments = ["upscale", str(source), "-w", str(tiny / "x4"), "-n", "2", "--save-samples", str(folder), "-o"]
    assert main([*arguments, str(tmp_path / "1.png")]) == 0
    (folder / "a.png_001.png").unlink()
    assert main([*arguments, str(tmp_path / "2.png")]) == 0, "what an interrupted run left is completed"
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert len(before) == 2
    capsys.readouterr()
    assert main([*arguments, str(tmp_path / "3.png"), "--seed", "1"]) == 1
    picture(source, seed=5)
    assert main([*arguments, str(tmp_path / "3.png")]) == 1
    assert "a.png_000.png exists" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before and not (tmp_path / "3.png").exists()
    assert main([*arguments, str(tmp_path / "3.png"), "--overwrite"]) == 0
    assert {p.name: p.read_bytes() for p in folder.iterdir()} != before


def test_the_suffix_follows_the_scale_of_the_weights(tmp_path: Path, tiny: Path):
    source = picture(tmp_path / "a.png")
    for scale in (4, 8):
        assert main(["upscale", str(source), "-w", str(tiny / f"x{scale}"), "-m", "rrdb"]) == 0
        with Image.open(tmp_path / f"a_x{scale}.png") as image:
            assert image.size == (8 * scale, 6 * scale)


@pytest.mark.parametrize("again", [["--format", "jpeg"], ["--suffix", "_big"], ["-w", "x8"], ["-o", "elsewhere"]])
def test_results_beside_inputs_are_not_taken_for_inputs(tmp_path: Path, tiny: Path, capsys, monkeypatch, again):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.tif", "c.webp"):
        picture(tmp_path / "in" / name)
    weights = str(tiny / "x4")
    again = [str(tiny / "x8") if a == "x8" else a for a in again]
    assert main(["upscale", "in", "-m", "rrdb", "-w", weights]) == 0
    capsys.readouterr()
    for inputs in (["in"], [f"in/{name}" for name in sorted(p.name for p in Path("in").iterdir())]):
        assert main(["upscale", *inputs, "-m", "rrdb", "-w", weights, "--json", "--overwrite", *again]) == 0
        seen = records(capsys)
        done = sorted(r["input"] for r in seen if r["status"] == "done")
        skipped = [r for r in seen if r["status"] == "skipped"]
        assert done == ["in/a.png", "in/b.tif", "in/c.webp"]
        assert {"in/a_x4.png", "in/b_x4.tif", "in/c_x4.webp"} <= {r["input"] for r in skipped}
        assert all("made from" in r["error"] for r in skipped)


def test_results_can_be_upscaled_again_when_asked_for(tmp_path: Path, tiny: Path, capsys):
    picture(tmp_path / "in" / "a.png")
    first, second = tmp_path / "first", tmp_path / "second"
    arguments = ["-m", "rrdb", "-w", str(tiny / "x4")]
    assert main(["upscale", str(tmp_path / "in"), "-o", str(first), *arguments]) == 0
    assert main(["upscale", str(first), *arguments]) == 2
    assert "earlier results" in capsys.readouterr().err
    assert main(["upscale", str(first), "-o", str(second), *arguments]) == 0
    assert main(["upscale", str(first / "a_x4.png"), *arguments]) == 0
    assert (second / "a_x4_x4.png").exists() and (first / "a_x4_x4.png").exists()


def test_a_picture_that_only_looks_like_a_result_is_never_replaced(tmp_path: Path, tiny: Path, capsys):
    picture(tmp_path / "a.png")
    genuine = picture(tmp_path / "a_x4.png", seed=3)
    before = genuine.read_bytes()
    assert main(["upscale", str(tmp_path), "-m", "rrdb", "-w", str(tiny / "x4"), "--overwrite"]) == 2
    assert "would replace the input" in capsys.readouterr().err and genuine.read_bytes() == before
    assert main(["upscale", str(tmp_path), "-m", "rrdb", "-w", str(tiny / "x4"), "-o", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_unusual_names_survive(tmp_path: Path, tiny: Path):
    folder = tmp_path / "in"
    names = [
        b"[red]x[/red].png",
        b"[/].png",
        b"new\nline.png",
        b"-lead.png",
        b"esc\x1b[31m.png",
        b"sp ace.png",
        b"b\xff.png",
    ]
    folder.mkdir()
    picture(tmp_path / "p.png")
    for name in names:
        (folder / os.fsdecode(name).replace("/", ":")).write_bytes((tmp_path / "p.png").read_bytes())
    (folder / os.fsdecode(b"bad\xfe[b].png")).write_bytes(b"")
    arguments = ["upscale", folder, "-m", "rrdb", "-w", tiny / "x4", "-o", tmp_path / "out"]
    done = run(*arguments, "--json")
    assert done.returncode == 1, done.stderr
    seen = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    assert sorted(os.fsencode(r["input"]) for r in seen) == sorted(os.fsencode(p) for p in folder.iterdir())
    assert all(Path(r["output"]).exists() for r in seen if r["status"] == "done")
    done = run(*arguments)
    lines = done.stderr.decode("utf-8").splitlines()
    assert len(lines) == len(names) + 2 and b"\x1b" not in done.stderr
    assert any("bad\\xfe[b].png is empty" in line for line in lines)
    assert any("[red]x[:red].png" in line for line in lines) and any("new\\nline" in line for line in lines)


def test_progress_shows_names_as_they_are(monkeypatch):
    import sys as system

    from srspace.batch import Progress
    from srspace.cli.output import batch_progress

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(system, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with batch_progress(quiet=False) as report:
        report(Progress("in/[:red][bold]x\udcff\n.png", 0, 1, 0.5))
    assert "[:red][bold]x\\xff\\n.png" in screen.getvalue()


def test_an_unexpected_error_does_not_end_a_batch(tmp_path: Path, tiny: Path, capsys, monkeypatch):
    from srspace.upscaler import Upscaler

    whole = Upscaler.upscale

    def fragile(self, image, **rest):
        if image.width == 7:
            raise RuntimeError("some [bug]\nof two lines")
        if image.width == 9:
            raise MemoryError
        return whole(self, image, **rest)

    monkeypatch.setattr(Upscaler, "upscale", fragile)
    for name, width in {"a": 7, "b": 8, "c": 9}.items():
        picture(tmp_path / f"{name}.png", (width, 6))
    arguments = ["upscale", str(tmp_path), "-m", "rrdb", "-w", str(tiny / "x4"), "-o", str(tmp_path / "out")]
    assert main(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert any("a.png: unexpected RuntimeError: some [bug] of two lines" in line for line in lines)
    assert any("c.png: there is not enough memory" in line for line in lines)
    assert not any("Traceback" in line for line in lines)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["b_x4.png"]
    assert main([*arguments, "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_outputs_are_checked_before_sampling(tmp_path: Path, tiny: Path, capsys, monkeypatch):
    from srspace.upscaler import Upscaler

    def never(*_: object, **__: object) -> None:
        pytest.fail("sampled for nothing")

    monkeypatch.setattr(Upscaler, "upscale", never)
    source = picture(tmp_path / "a.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    wide = picture(tmp_path / "wide.webp", (5000, 1))
    common = ["-m", "rrdb", "-w", str(tiny / "x4")]
    for target, code, words in (
        ("a.png/x.png", 1, "a file stands where its folder should be"),
        ("loop.png", 1, "symbolic link"),
        ("pipe.png", 1, "not a regular file"),
        ("x" * 300 + ".png", 1, "too long"),
        ("a.xyz", 2, "names no format"),
        ("/proc/x.png", 1, "cannot be written"),
    ):
        assert main(["upscale", str(source), *common, "-o", str(tmp_path / target)]) == code
        printed = capsys.readouterr().err
        assert words in printed and len(printed.splitlines()) == 1
    assert main(["upscale", "x" * 300, *common]) == 2
    picture(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "b_x4.png").mkdir()
    assert main(["upscale", str(tmp_path / "in"), *common]) == 1
    assert "a folder is in its place" in capsys.readouterr().err
    assert main(["upscale", str(wide), *common]) == 1
    assert "webp holds at most" in capsys.readouterr().err


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, tiny: Path):
    resource = pytest.importorskip("resource")
    for i in range(2):
        picture(tmp_path / "in" / f"{i}.png", (40, 40), seed=i)
    command = ["upscale", tmp_path / "in", "-m", "rrdb", "-w", tiny / "x4", "-o", tmp_path / "out", "--format", "tiff"]
    done = run(*command, limits={resource.RLIMIT_FSIZE: 4096})
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    assert done.stderr.count(b"cannot be written") == 2 and len(done.stderr.splitlines()) == 3
    assert list((tmp_path / "out").iterdir()) == []


def test_records_all_have_the_same_keys(tmp_path: Path, tiny: Path, capsys):
    picture(tmp_path / "a.png")
    (tmp_path / "bad.png").write_bytes(b"")
    arguments = ["upscale", str(tmp_path), "-n", "2", "--seed", "7", "-w", str(tiny / "x4"), "--json"]
    main(arguments)
    main(arguments)
    seen = records(capsys)
    assert {r["status"] for r in seen} == {"done", "failed", "kept", "skipped"}
    assert {tuple(r) for r in seen} == {tuple(seen[0])}
    for r in seen:
        assert (r["mode"], r["tau"], r["n"], r["seed"], r["scale"]) == ("mean", 0.9, 2, 7, 4)
        assert r["weights"] == ("x4" if r["status"] == "kept" else str(tiny / "x4"))
        assert (r["device"] is None) == (r["status"] == "kept") and r["parameters"] == {}
        assert (r["error"] is None) == (r["status"] in ("done", "kept"))
        assert (r["width"], r["height"]) == ((32, 24) if r["status"] in ("done", "kept") else (None, None))
    readme = (Path(__file__).parents[2] / "srspace" / "batch" / "README.md").read_text()
    assert all(f"`{key}`" in readme for key in seen[0])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_debug_may_stand_anywhere(tmp_path: Path, capsys, place: int):
    arguments = ["upscale", str(tmp_path / "missing.png")]
    assert main([*arguments[:place], "--debug", *arguments[place:]]) == 2
    assert "Traceback" in capsys.readouterr().err
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main(["upscale", "--", "--debug"]) == 2
    assert "--debug does not exist" in capsys.readouterr().err


def test_fusion_networks_of_other_flows_are_not_taken_unasked(tmp_path: Path, tiny: Path, capsys):
    source = str(picture(tmp_path / "a.png"))
    arguments = ["upscale", source, "-w", str(tiny / "x4"), "-m", "fusion-l1", "-n", "4", "--json"]
    assert main(arguments) == 3
    printed = capsys.readouterr()
    assert "--fusion" in printed.err and len(printed.err.splitlines()) == 1 and printed.out == ""
    assert main([*arguments, "--fusion", str(tiny / "fusion")]) == 0
    assert records(capsys)[0]["fusion"] == str(tiny / "fusion")
    assert main([*arguments, "--fusion", str(tiny / "x8")]) == 3
    assert main([*arguments, "--fusion", "fusion-lpips-x4-lite"]) == 2
    assert main(["upscale", source, "-m", "mean", "--fusion", str(tiny / "fusion")]) == 2


def test_a_copy_of_catalogued_weights_is_known_by_its_checksum(tmp_path: Path):
    import shutil

    from srspace.errors import NoFusionError
    from srspace.hub import find_fusion, weights_root

    shutil.copytree(weights_root() / "srflow-da-x4-lite", tmp_path / "copy")
    assert find_fusion(str(tmp_path / "copy"), "fusion-l1").name == "fusion-l1-x4-lite"
    (tmp_path / "copy" / "config.json").write_text("{}")
    with pytest.raises(NoFusionError):
        find_fusion(str(tmp_path / "copy"), "fusion-l1")


def test_broken_links_pipes_and_hidden_folders_in_a_folder(tmp_path: Path, tiny: Path, capsys):
    folder = tmp_path / "in"
    picture(folder / "a.png")
    picture(folder / ".hidden" / "b.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "linked.png").symlink_to("a.png")
    os.mkfifo(folder / "pipe.png")
    arguments = ["upscale", str(folder), "-r", "-m", "rrdb", "-w", str(tiny / "x4"), "--json", "-o"]
    assert main([*arguments, str(tmp_path / "out")]) == 1
    statuses = {Path(r["input"]).name: r["status"] for r in records(capsys)}
    assert statuses == {"a.png": "done", "linked.png": "done", "gone.png": "failed", "pipe.png": "failed"}


def test_a_link_at_the_target_is_followed(tmp_path: Path, tiny: Path):
    source = picture(tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to("real.png")
    assert main(["upscale", str(source), "-m", "rrdb", "-w", str(tiny / "x4"), "-o", str(tmp_path / "link.png")]) == 0
    assert (tmp_path / "link.png").is_symlink() and (tmp_path / "real.png").is_file()


@pytest.mark.parametrize("destination", ["closed", "full"])
@pytest.mark.parametrize("what", ["picture", "json"])
def test_standard_output_that_cannot_take_it(tmp_path: Path, tiny: Path, destination: str, what: str):
    source = picture(tmp_path / "a.png")
    arguments = ["upscale", source, "-m", "rrdb", "-w", tiny / "x4", *(["--json"] if what == "json" else ["-o", "-"])]
    if destination == "full":
        with Path("/dev/full").open("wb") as full:
            process = start(*arguments, stdout=full)
    else:
        process = start(*arguments)
        process.stdout.close()
    error = process.stderr.read()
    assert process.wait() == 1
    assert error.decode().startswith("srspace: standard output cannot be written") and error.count(b"\n") == 1


def test_interrupting_leaves_nothing_half_written(tmp_path: Path, tiny: Path):
    picture(tmp_path / "a.png", (64, 64))
    samples = tmp_path / "s"
    process = start("upscale", tmp_path / "a.png", "-w", tiny / "x4", "-n", "2000", "--save-samples", samples)
    wait_until(samples.exists)
    process.send_signal(signal.SIGINT)
    assert process.stderr.read() == b"srspace: interrupted; nothing is half-written.\n" and process.wait() == 130
    assert not list(tmp_path.rglob("*.part")) and not (tmp_path / "a_x4.png").exists()


WRITER = """
import sys, time
from pathlib import Path
from srspace.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    print("ready", flush=True)
    time.sleep(300)
"""


def test_temporary_files_of_killed_runs_go_and_those_of_living_runs_stay(tmp_path: Path, tiny: Path):
    picture(tmp_path / "in" / "a.png")
    out = tmp_path / "out"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(out / f"{name}_x4.png")], stdout=subprocess.PIPE)
        for name in ("dead", "alive")
    ]
    try:
        assert [w.stdout.readline() for w in writers] == [b"ready\n"] * 2
        writers[0].kill()
        writers[0].wait()
        (out / ".mine.part").write_bytes(b"somebody else's")
        assert len(list(out.glob(".*.srspace.part"))) == 2 and not list(out.glob("*_x4.png"))
        arguments = ["upscale", str(tmp_path / "in"), "-o", str(out), "-m", "rrdb", "-w", str(tiny / "x4")]
        assert main(arguments) == 0
        left = sorted(p.name for p in out.iterdir())
        assert [n.startswith(".alive") for n in left if n.endswith(".srspace.part")] == [True]
        assert ".mine.part" in left and "a_x4.png" in left and "dead_x4.png" not in left
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            writer.stdout.close()


@pytest.mark.parametrize(
    ("mode", "more"),
    [("mean", []), ("median", []), ("fusion-l1", ["--fusion", "fusion"]), ("dial", ["--fusion", "dial"])],
)
def test_save_samples(tmp_path: Path, tiny: Path, capsys, mode: str, more: list[str]):
    source, folder = picture(tmp_path / "a.png"), tmp_path / "s"
    command = ["upscale", str(source), "-w", str(tiny / "x4"), "-n", "4", "-m", mode, "--precision", "fp32", "--json"]
    command += [str(tiny / word) if word in ("fusion", "dial") else word for word in more]
    assert main([*command, "-o", str(tmp_path / "alone.png")]) == 0
    assert main([*command, "-o", str(tmp_path / "watched.png"), "--save-samples", str(folder)]) == 0
    alone, watched = records(capsys)
    assert (watched["mode"], watched["n"], watched["redraws"]) == (mode, 4, []) == (mode, 4, alone["redraws"])
    assert sorted(p.name for p in folder.iterdir()) == [f"a.png_00{i}.png" for i in range(4)]
    result, again = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("alone", "watched"))
    assert np.array_equal(result, again), "saving candidates changes nothing"
    candidates = [np.asarray(Image.open(folder / f"a.png_00{i}.png")).astype(int) for i in range(4)]
    assert all(np.abs(a - b).max() > 20 for a, b in combinations(candidates, 2))
    if mode in ("mean", "median"):
        merged = {"mean": np.mean, "median": np.median}[mode](candidates, axis=0)
        assert np.abs(merged - result).max() <= 1


def test_how_candidates_are_drawn_is_chosen_and_told(tmp_path: Path, tiny: Path, capsys):
    source, told = str(picture(tmp_path / "a.png")), []
    for i, more in enumerate(([], ["--latents", "antithetic"], ["--latents", "independent"], ["-m", "rrdb"])):
        arguments = ["upscale", source, "-w", str(tiny / "x4"), "-n", "2", "-o", str(tmp_path / f"{i}.png"), "--json"]
        assert main([*arguments, *more]) == 0
        told.append(records(capsys)[0]["latents"])
    assert told == ["independent", "antithetic", "independent", None]
    assert main([*arguments, "--latents", "antithetical"]) == 2


def test_the_dial_is_turned(tmp_path: Path, tiny: Path, capsys):
    source = str(picture(tmp_path / "a.png"))
    common = ["upscale", source, "--json", "--device", "cpu", "-w", str(tiny / "x4"), "-m", "dial", "-o"]
    assert main([*common, str(tmp_path / "none.png"), "--fusion", str(tmp_path / "nowhere")]) == 3
    results = []
    for i, balance in enumerate(([], ["--balance", "0"], ["--balance", "0.8"])):
        target = tmp_path / f"{i}.png"
        capsys.readouterr()
        assert main([*common, str(target), "--fusion", str(tiny / "dial"), *balance]) == 0
        record = records(capsys)[0]
        with Image.open(target) as image:
            results.append((record["parameters"], np.asarray(image)))
        assert (record["mode"], record["n"]) == ("dial", 1)
    assert [parameters for parameters, _ in results] == [{"balance": 0.8}, {"balance": 0.0}, {"balance": 0.8}]
    default, zero, same = (pixels for _, pixels in results)
    assert (default == same).all() and (default != zero).any()
    assert main([*common, str(tmp_path / "none.png"), "--balance", "1.1"]) == 2
    assert main(["upscale", source, "-m", "mean", "--balance", "0.5"]) == 2
    assert capsys.readouterr().err.endswith("srspace: the mode mean has no balance; it belongs to dial.\n")
