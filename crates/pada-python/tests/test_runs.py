import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import pada

ZERO_COST = ["params", "jacov"]


def test_a_run_has_a_folder_of_the_program(run):
    names = {file.name for file in run.folder.iterdir()}
    assert {"config.toml", "record.json", "ranking.csv"} <= names
    assert run.record["seed"] == 3 and len(run.record["epochs"]) == 1
    assert "train_images = 128" in run.config
    scores = run.scores("dict")
    assert len(scores["arch"]) == 10 and scores["accuracy"].dtype == np.float64
    assert pada.load(run.folder).record == run.record


def test_the_weights_score_architectures_as_the_ranking_did(run):
    scores = run.scores("dict")
    found = run.evaluate(scores["arch"][:3], device="cpu")
    assert found.tolist() == scores["accuracy"][:3].tolist()
    assert run.evaluate([pada.Arch(scores["arch"][0]), [3, 3, 3, 3, 3, 3]], device="cpu").shape == (2,)


def test_one_architecture_stands_for_a_list_of_one(run):
    expected = run.evaluate(["333333"], device="cpu").tolist()
    assert run.evaluate("333333", device="cpu").tolist() == expected
    assert run.evaluate(pada.Arch("333333"), device="cpu").tolist() == expected


def test_files_in_the_home_folder(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run.report(out="~/page.html").path == tmp_path / "page.html"
    (tmp_path / "archs.txt").write_text("333333\n")
    assert pada.zero_cost("params", "~/archs.txt", frame="dict", progress=False)["arch"] == ["333333"]
    (tmp_path / "own.csv").write_text("arch,accuracy\n334131,91.5\n")
    assert pada.nasbench.load_csv("~/own.csv", "nb201", frame="dict")["arch"] == ["334131"]


def test_a_report_is_shown_inline(run):
    report = run.report()
    assert report.path == run.folder / "report.html" and report.path.is_file()
    shown = report._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!') and "<script" not in shown
    both = pada.report(run, run.folder, out=run.folder.parent / "both.html")
    assert both.path.name == "both.html" and "<html" in both.html()


def test_a_run_is_searched_and_exported(run, tmp_path):
    found = run.search("random", settings={"samples": 5}, max_params=70_000, device="cpu", progress=False)
    assert 0 < len(found) <= 5 and all(arch.params <= 70_000 for arch in found)
    assert "test images" in found.selected_on or found.on_test_images
    about = run.export(found[0].arch, tmp_path / "best.onnx", device="cpu", recalibrate=64)
    assert (tmp_path / "best.onnx").stat().st_size > 1000 and about["params"] == found[0].params
    about = run.export([3, 3, 3, 3, 3, 3], tmp_path / "my-net.pt", device="cpu", recalibrate=64)
    assert about["files"] == [str(tmp_path / "my-net.pt"), str(tmp_path / "my_net.py")]
    assert all(Path(file).is_file() for file in about["files"])
    with pytest.raises(pada.InputError, match="--overwrite"):
        run.export("333333", tmp_path / "my-net.pt", device="cpu")
    with pytest.raises(pada.InputError, match="use onnx, safetensors or pytorch"):
        run.export("333333", tmp_path / "net.h5", format="keras")


def test_progress_is_told_and_its_exception_stops_the_run(tiny, tmp_path):
    events = []
    pada.train(tiny, out=tmp_path / "a", device="cpu", progress=events.append)
    assert {event["event"] for event in events} == {"step", "epoch", "scored"}
    assert [event["loss"] for event in events if event["event"] == "epoch"][0] > 0

    def stop(event):
        raise StopIteration("enough")

    def stop_at_the_end(event):
        if event["event"] == "scored" and event["done"] == event["total"]:
            raise KeyError("too late")

    with pytest.raises(KeyError):
        pada.resume(tmp_path / "a", device="cpu", progress=stop_at_the_end)
    with pytest.raises(StopIteration) as stopped:
        pada.train(tiny, out=tmp_path / "b", device="cpu", progress=stop)
    assert stopped.value.folder == str(tmp_path / "b")
    resumed = pada.resume(stopped.value.folder, device="cpu", progress=False)
    whole = pada.load(tmp_path / "a")
    assert resumed.scores("dict")["accuracy"].tolist() == whole.scores("dict")["accuracy"].tolist()


SCRIPT = """
import sys, pada
pada.train({"train": {"epochs": 500}, "data": {"train_images": 128}, "rank": {"images": 100, "archs": "random:3", "fuse": []}},
           out=sys.argv[1], device="cpu", progress=lambda event: print(event["event"], flush=True))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_stops_a_run_with_a_checkpoint(tmp_path):
    out = tmp_path / "run"
    # A shell in the background ignores SIGINT, and so do the processes that it starts.
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while process.stdout.readline().strip() != "epoch":
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    assert "KeyboardInterrupt" in stderr and process.returncode != 0
    assert any(file.suffix == ".safetensors" for file in out.iterdir())
    record = json.loads((out / "record.json").read_text())
    assert 1 <= len(record["epochs"]) < 500


def test_other_threads_of_python_run_meanwhile(tiny, tmp_path):
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.002)

    thread = threading.Thread(target=tick)
    thread.start()
    pada.train(tiny, out=tmp_path / "run", device="cpu", progress=False)
    done.set()
    thread.join()
    assert len(ticks) > 20, "the GIL was held"


def test_one_network_is_retrained(tmp_path):
    run = pada.retrain(
        "333333", set={"train.epochs": 1, "data.train_images": 128}, out=tmp_path / "net", device="cpu", progress=False
    )
    best = run.record["ranking"]["best"][0]
    assert best["arch"] and 0 <= best["score"] <= 100
    about = run.export(None, tmp_path / "net.safetensors", device="cpu")
    assert about["classes"] == 10


def test_a_differentiable_search_trains_and_continues(tmp_path):
    small = {"train.epochs": 2, "data.train_images": 64, "supernet.channels": 4, "rank.images": 40}
    search = lambda **change: pada.differentiable_search(  # noqa: E731
        "gdas", set={**small, **change}, seed=1, out=tmp_path / "gdas", device="cpu", progress=False
    )
    done = search()
    assert len(done.epochs) == 2 and done.epochs[-1]["arch"] == done.found.arch and 0 <= done.found.score <= 100
    table = done.frame("dict")
    assert list(table)[:3] == ["epoch", "arch", "validation_accuracy"] and list(table)[3:] == done.ops
    assert abs(sum(table[op][0] for op in done.ops) - 1) < 1e-9 and "gdas" in done.run.config
    assert search().found == done.found
    with pytest.raises(pada.InputError, match="another update.temperature"):
        search(temperature=[5.0, 0.1])
    with pytest.raises(pada.InputError, match="--method"):
        pada.differentiable_search("evolution", out=tmp_path / "other")


def test_limits_may_be_floats(run):
    found = run.search("random", settings={"samples": 3}, max_params=7e4, device="cpu", progress=False)
    assert all(arch.params <= 70_000 for arch in found)
    with pytest.raises(pada.InputError, match="max_macs is -1"):
        run.search("random", max_macs=-1)


def test_zero_cost_scores_need_no_training():
    found = pada.zero_cost(
        ZERO_COST, ["333333", "000000", [1, 1, 1, 1, 1, 1]], channels=4, cells=1, images=16, frame="dict", progress=False
    )
    assert list(found) == ["arch", *ZERO_COST] and found["arch"] == ["333333", "000000", "111111"]
    assert found["params"][0] > found["params"][2] and np.isneginf(found["jacov"][1])
    twice = pada.zero_cost("params", ["333333", "000000", "333333"], channels=4, cells=1, frame="dict", progress=False)
    assert twice["arch"] == ["333333", "000000", "333333"] and twice["params"][0] == twice["params"][2] != twice["params"][1]
    again = pada.zero_cost("params", "random:4", space="macro", frame="dict", progress=False)
    assert len(again["arch"]) == 4


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: pada.train({"train": {"epohs": 1}}), "did you mean `train.epochs`?"),
        (lambda: pada.train(set={"train.epochs": "many"}), "train.epochs"),
        (lambda: pada.train("missing.toml"), "missing.toml"),
        (lambda: pada.train(device="tpu"), "the device must be auto, cpu or cuda:N"),
        (lambda: pada.resume("nowhere"), "nowhere"),
        (lambda: pada.load("nowhere"), "is not a run folder"),
        (lambda: pada.report("nowhere"), "is not a run folder"),
        (lambda: pada.retrain("93"), "93"),
        (lambda: pada.zero_cost(["synflo"]), "synflo"),
        (lambda: pada.zero_cost("params", []), "the list of architectures is empty"),
        (lambda: pada.zero_cost("params", seed=-1), "the seed is -1"),
        (lambda: pada.train(seed=-1), "the seed is -1"),
        (lambda: pada.set_threads(0), "from 1 to 1024"),
    ],
)
def test_misuse_is_an_error_with_a_reason(call, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pada.InputError) as error:
        call()
    assert text in str(error.value)
    assert not list(tmp_path.iterdir()), "nothing was written"


def test_an_existing_folder_is_kept(run, tiny):
    with pytest.raises(pada.InputError, match="exists"):
        pada.train(tiny, out=run.folder, device="cpu", progress=False)
