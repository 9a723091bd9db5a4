import importlib.util

import numpy as np
import pytest

import pada


def test_the_embedded_table_has_columns():
    table = pada.nasbench.load("mini", frame="dict")
    assert len(table["arch"]) == 300 and table["accuracy"].dtype == np.float64
    seeds = [name for name in table if name.startswith("accuracy_seed_")]
    assert seeds
    mean = np.mean([table[name] for name in seeds], axis=0)
    assert table["accuracy"] == pytest.approx(mean)
    assert all(arch in pada.spaces.nb201() for arch in table["arch"][:5])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_are_data_frames(library):
    if importlib.util.find_spec(library) is None:
        with pytest.raises(pada.InputError, match=f"pip install {library}"):
            pada.nasbench.load("mini", frame=library)
        pytest.skip(f"{library.upper()} IS MISSING: ITS DATA FRAMES ARE NOT TESTED")
    table = pada.nasbench.load("mini", frame=library)
    assert type(table).__module__.startswith(library) and table.shape[0] == 300
    assert pada.metrics.kendall_tau(table["accuracy"], table["accuracy"]) == 1.0


def test_a_table_of_ones_own(tmp_path):
    file = tmp_path / "own.csv"
    file.write_text("arch,accuracy,seed\n334131,91.5,0\n334131,92.5,1\n333333,94.0,0\n")
    table = pada.nasbench.load_csv(file, "nb201", frame="dict")
    assert table["arch"] == ["334131", "333333"] and table["accuracy"].tolist() == [92.0, 94.0]
    assert np.isnan(table["accuracy_seed_1"][1])
    file.write_text("arch,accuracy\n334131,good\n")
    with pytest.raises(pada.InputError, match="own.csv"):
        pada.nasbench.load_csv(file, "nb201")


def test_missing_tables_say_how_to_get_them(tmp_path):
    with pytest.raises(pada.InputError, match="download nb201"):
        pada.nasbench.load("nb201", data_dir=tmp_path)
    with pytest.raises(pada.InputError, match="did you mean"):
        pada.nasbench.load("nas-bench-marco")
    with pytest.raises(pada.InputError, match="frame is 'excel'"):
        pada.nasbench.load("mini", frame="excel")
    with pytest.raises(pada.InputError, match="the names are cifar10"):
        pada.download("cifar-10", data_dir=tmp_path)


def test_a_damaged_file_of_a_local_folder_is_refused(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "darts_214.json").write_text("{}")
    with pytest.raises(pada.RunError, match="no source of darts-214 worked"):
        pada.download("darts-214", data_dir=tmp_path / "data", source=source, progress=False)
    assert not list(tmp_path.glob("data/**/*.json"))
