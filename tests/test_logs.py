"""Finding and joining runs; real and hostile event files; the samples' own logs."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core import logs as core_logs
from core.errors import UserError
from core.log_files import search as log_search
from core.log_formats import COLUMNS, Format, Logs
from core.logs import find_logs, log_content_id, read_logs
from tests.event_files import NAME, assert_same, by_tag, by_tensorboard, scalar, write

SHARED = Path(__file__).parents[2] / "shared"
SAMPLES = Path(__file__).parents[1] / "sample_models" / "logs"


@pytest.fixture
def runs(tmp_path):
    """Two runs and a run at the root, of one, two and one files."""
    write(tmp_path / "b" / "late" / NAME, [scalar("loss", 0, 1.0), scalar("acc", 0, 0.5)])
    write(tmp_path / "a" / f"{NAME}.2", [scalar("loss", 1, 3.0)])
    write(tmp_path / "a" / f"{NAME}.1", [scalar("loss", 0, 2.0)])
    write(tmp_path / NAME, [scalar("loss", 0, 4.0)])
    (tmp_path / "a" / "notes.txt").write_text("not a log")
    return tmp_path


def test_runs_are_named_by_their_folder(runs):
    found = find_logs(runs)
    assert [run.name for run in found.runs] == [runs.name, "a", "b/late"]
    assert [len(run.files) for run in found.runs] == [1, 2, 1]
    assert [file.name for file in found.runs[1].files] == [f"{NAME}.1", f"{NAME}.2"]
    assert find_logs(runs / "a" / f"{NAME}.2").runs[0].name == "a"


def test_runs_are_joined_in_order(runs):
    logs = read_logs(runs)
    assert list(logs.table.columns) == COLUMNS
    assert list(logs.table["run"].cat.categories) == sorted([runs.name, "a", "b/late"])
    assert list(logs.table["tag"].cat.categories) == ["acc", "loss"]
    found = logs.table[logs.table["run"] == "a"]
    assert found[["step", "value"]].to_numpy().tolist() == [[0, 2.0], [1, 3.0]]
    assert "a: Read 2 points of 1 tag from 2 event files." in logs.notes


def test_a_run_that_cannot_be_read_is_noted(runs):
    (runs / "c").mkdir()
    (runs / "c" / NAME).touch()
    logs = read_logs(runs)
    assert len(logs.table) == 5
    assert any(note.startswith(f"c: {NAME} is empty") for note in logs.notes)


def test_refusals(tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist"):
        read_logs(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no training log.*TensorBoard event file"):
        read_logs(tmp_path)
    (tmp_path / "metrics.bin").write_bytes(bytes(100))
    with pytest.raises(UserError, match=r"metrics\.bin is not a training log"):
        read_logs(tmp_path / "metrics.bin")


def test_links_and_hidden_folders(runs, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    write(outside / NAME, [scalar("secret", 0, 1.0)])
    (runs / "link").symlink_to(outside, target_is_directory=True)
    (runs / "a" / "tfevents.link").symlink_to(outside / NAME)
    (runs / "dangling").symlink_to(outside / "gone")
    write(runs / ".trash" / NAME, [scalar("old", 0, 1.0)])
    os.mkfifo(runs / "tfevents.pipe")
    logs = read_logs(runs)
    assert set(logs.table["tag"]) == {"loss", "acc"}
    assert any("Hidden folders, which are not searched (1): .trash" in note for note in logs.notes)
    assert any("Links that lead out" in note for note in logs.notes)


def test_an_event_file_of_noise_is_named_beside_good_ones(runs):
    (runs / "a" / f"{NAME}.noise").write_bytes(bytes(range(1, 256)) * 9)
    (runs / "a" / f"{NAME}.profile-empty").write_bytes(b"")
    notes = read_logs(runs).notes
    assert f"Files named as logs in which there is none (1): {NAME}.noise." in notes
    with pytest.raises(UserError, match=r"noise is not a TensorBoard event file, or is damaged: at byte 0"):
        read_logs(runs / "a" / f"{NAME}.noise")


def test_links_in_a_circle_and_out_of_the_folder_are_left_out(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.csv").write_text("step,loss\n1,2\n2,1\n")
    (tmp_path / "outside.csv").write_text("step,loss\n1,2\n2,1\n")
    (folder / "out.csv").symlink_to(tmp_path / "outside.csv")
    (folder / "circle.csv").symlink_to("circle.csv")
    (folder / "again").symlink_to(folder)
    (folder / "b.csv").symlink_to("a.csv")
    logs = read_logs(folder)
    assert set(logs.table["run"]) == {"a", "b"}
    assert "Links that lead out of the folder, which are not followed (1): out.csv." in logs.notes


def test_number_of_files_is_bounded(runs, monkeypatch):
    monkeypatch.setattr(log_search, "MOST_FILES", 2)
    found = find_logs(runs)
    assert sum(len(run.files) for run in found.runs) <= 2
    assert any("Only the first 2 files" in note for note in found.notes)


def test_formats_of_one_folder_are_runs_of_their_own(runs, monkeypatch):
    def load(files, run):
        return Logs(read_logs(runs / NAME).table.assign(run=[run]).astype({"run": "category"}))

    both = core_logs.formats() | {"words": Format("Words", lambda p: p.suffix == ".txt", load)}
    monkeypatch.setattr(core_logs, "formats", lambda: both)
    monkeypatch.setattr(log_search, "formats", lambda: both)
    assert [run.name for run in find_logs(runs).runs] == [runs.name, "a", "a (Words)", "b/late"]
    assert len(read_logs(runs).table) == 6


def test_name_that_is_no_text(tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    try:
        write(folder / NAME, [scalar("a", 0, 1.0)])
    except OSError:
        pytest.skip("this file system holds names that are text only")
    assert str(read_logs(tmp_path).table["run"].iat[0]).encode() == "\ufffd\ufffd".encode()


def test_content_id_follows_what_is_there(runs):
    before = log_content_id(runs)
    assert before == log_content_id(runs)
    with (runs / NAME).open("ab") as file:
        file.write(b"more")
    grown = log_content_id(runs)
    (runs / "a" / NAME).touch()
    assert len({before, grown, log_content_id(runs)}) == 3
    assert log_content_id(runs / NAME) != log_content_id(runs / "a" / f"{NAME}.1")


@pytest.mark.parametrize("values, steps, said", [
    ([1, 2, 3], [0, 0, 1], "1 point with the same step"),
    ([1, 2, 3, 4], [5, 6, 2, 3], "Steps go back 1 time, as after a restart"),
    ([1, 2], [-4, 1], "1 point with a negative step, the lowest -4"),
    ([1, 2], [-2**63, 2**63 - 1], "Steps range from -9,223,"),
    ([1, math.nan, math.inf], [0, 1, 2], "2 values NaN or infinite"),
])
def test_oddities_are_kept_and_said(tmp_path, values, steps, said):
    write(tmp_path / NAME, [scalar("a", s, v) for s, v in zip(steps, values, strict=True)])
    logs = read_logs(tmp_path)
    assert logs.table["step"].tolist() == steps
    assert [note for note in logs.notes if said in note] == list(logs.notes[1:])


def test_ordinary_log_has_one_note(runs):
    assert len(read_logs(runs / "b").notes) == 1


@pytest.mark.parametrize("wall_time, said", [(0.0, "without a wall time"), (1e20, "is no date"),
                                             (math.nan, None), (-5.0, "is no date")])
def test_times_out_of_any_calendar(tmp_path, wall_time, said):
    write(tmp_path / NAME, [scalar("a", 0, 1.0, wall_time), scalar("a", 1, 1.0, wall_time)])
    notes = " ".join(read_logs(tmp_path).notes)
    assert said is None or said in notes


def test_reading_imports_nothing_heavy():
    code = ("import sys, core.logs; core.logs.formats(); "
            "print([m for m in ('torch', 'streamlit', 'altair', 'tensorboard', 'google.protobuf', "
            "'sklearn', 'scipy') if m in sys.modules])")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         cwd=Path(__file__).parents[1])
    assert ran.stdout.strip() == "[]"


def real_cases():
    expected = SHARED / "checks" / "expected.json"
    cases = json.loads(expected.read_text())["logs"] if expected.exists() else []
    return [case for case in cases if (SHARED / "real" / case["folder"]).exists()]


@pytest.mark.parametrize("case", real_cases() or [None], ids=lambda c: c["name"] if c else "absent")
def test_real_logs(case):
    if case is None:
        pytest.skip("the shared files are not here")
    path = SHARED / "real" / case["folder"]
    table = read_logs(path).table
    for tag, (count, total) in case["tags"].items():
        values = table.loc[table["tag"] == tag, "value"]
        assert len(values) == count
        assert math.isclose(math.fsum(v for v in values if math.isfinite(v)), total, rel_tol=1e-9)


@pytest.mark.parametrize("root", [SHARED / "real" / "logs", SAMPLES], ids=["real", "samples"])
def test_every_run_equals_tensorboard(root, tmp_path):
    if not root.exists():
        pytest.skip(f"{root.name} is not here")
    root = shutil.copytree(root, tmp_path / "copy")  # of a run that is still being written
    table = read_logs(root).table
    folders = {path.parent for path in root.rglob("*tfevents*")}
    assert len(folders) == sum(run.format == "tensorboard_events" for run in find_logs(root).runs)
    for folder in folders:
        run = folder.relative_to(root).as_posix()
        assert_same(by_tag(table[table["run"] == run]), by_tensorboard(folder))


def hostile_cases():
    manifest = SHARED / "hostile" / "manifest.json"
    entries = json.loads(manifest.read_text())["entries"] if manifest.exists() else []
    return [entry for entry in entries if entry["kind"] in ("tfevents", "csv_log", "json_log")]


@pytest.mark.parametrize("entry", hostile_cases() or [None],
                         ids=lambda e: e["file"].rpartition("/")[2] if e else "absent")
def test_hostile_files(entry):
    if entry is None:
        pytest.skip("the shared files are not here")
    allowed = {entry["action"], *(entry.get("also_ok") or [])}
    try:
        said = " ".join(read_logs(SHARED / "hostile" / entry["file"]).notes)
        assert allowed & {"accept", "warn"}
    except UserError as error:
        said = str(error)
        assert "reject" in allowed
    named = any(word in said.lower() for word in entry["must_say"])
    assert named or not entry["must_say"] or "accept" in allowed
