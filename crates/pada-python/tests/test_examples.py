"""The notebooks of examples/python: each is made of its script, and its cells run."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "examples" / "python"
#: Packages that an example needs, besides this one and NumPy.
NEEDS = {"own_supernet": "torch", "search_with_optuna": "optuna"}

spec = importlib.util.spec_from_file_location("make_notebooks", FOLDER / "make_notebooks.py")
make_notebooks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_notebooks)


@pytest.mark.parametrize("script", make_notebooks.scripts(), ids=lambda script: script.stem)
def test_a_notebook_is_its_script_and_runs(script, tmp_path):
    text = script.with_suffix(".ipynb").read_text(encoding="utf-8")
    expected = make_notebooks.notebook(script.read_text(encoding="utf-8"))
    assert text == expected, "make it again: python examples/python/make_notebooks.py"
    need = NEEDS.get(script.stem)
    if need and importlib.util.find_spec(need) is None:
        pytest.skip(f"{need.upper()} IS MISSING: THE EXAMPLE {script.stem} IS NOT RUN")
    cells = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    # One cell after the other in one namespace, as Jupyter runs them.
    runner = "import json, sys\nscope = {'__name__': '__main__'}\nfor cell in json.load(sys.stdin): exec(''.join(cell), scope)"
    command = [sys.executable, "-c", runner]
    result = subprocess.run(command, input=json.dumps(cells), capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    print(result.stdout)
