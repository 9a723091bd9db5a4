"""Makes a notebook of every example: a script whose cells begin with `# %%`, or with `# %% [markdown]` for text.

Run: python examples/python/make_notebooks.py
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parent


def cells(script):
    """Yields the kind and the text of each cell of a script."""
    kind, lines = None, []
    for line in [*script.splitlines(), "# %%"]:
        if line.startswith("# %%"):
            if kind and any(line.strip() for line in lines):
                yield kind, "\n".join(lines).strip("\n")
            kind, lines = ("markdown" if "[markdown]" in line else "code"), []
        else:
            lines.append(line.removeprefix("#").removeprefix(" ") if kind == "markdown" else line)


def notebook(script):
    """Returns the text of the notebook of a script."""

    def cell(number, kind, text):
        source = text.splitlines(keepends=True)
        about = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source}
        return about if kind == "markdown" else {**about, "execution_count": None, "outputs": []}

    found = {
        "cells": [cell(number, *found) for number, found in enumerate(cells(script))],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def scripts():
    return sorted(file for file in FOLDER.glob("*.py") if file != Path(__file__))


if __name__ == "__main__":
    for script in scripts():
        text = script.read_text(encoding="utf-8")
        script.with_suffix(".ipynb").write_text(notebook(text), encoding="utf-8")
