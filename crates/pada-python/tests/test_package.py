import ast
import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import pada
from pada import _native


def test_the_stubs_describe_what_is_compiled():
    stubs = ast.parse(Path(pada.__file__).with_name("_native.pyi").read_text(encoding="utf-8"))
    public = {name for name in dir(_native) if not name.startswith("__")}
    found = {node.name: node for node in stubs.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    assert set(found) == public
    for name, node in found.items():
        if isinstance(node, ast.ClassDef):
            methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            compiled = {member for member in vars(getattr(_native, name)) if not member.startswith("__")}
            assert {method for method in methods if not method.startswith("__")} == compiled, name
        else:
            stub = [arg.arg for arg in node.args.args]
            assert list(inspect.signature(getattr(_native, name)).parameters) == stub, name


def test_everything_public_has_a_docstring():
    modules = [importlib.import_module(f"pada.{m.name}") for m in pkgutil.iter_modules(pada.__path__)]
    for module in modules:
        if module is _native:
            continue
        assert module.__doc__, module.__name__
        for name in getattr(module, "__all__", []):
            item = getattr(module, name)
            if inspect.isclass(item) or inspect.isfunction(item):
                assert item.__doc__, f"{module.__name__}.{name}"
            for method, function in vars(item).items() if inspect.isclass(item) else []:
                if inspect.isfunction(function) and not method.startswith("_"):
                    assert function.__doc__, f"{module.__name__}.{name}.{method}"
    assert (Path(pada.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("module", ["spaces", "metrics", "nasbench", "search"])
def test_examples_in_docstrings(module):
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(importlib.import_module(f"pada.{module}"), optionflags=options).failed == 0


def test_the_import_needs_no_other_package():
    # An import of NumPy alone takes as long as that of this package.
    code = "import sys, pada; print(*(m for m in ('numpy', 'torch', 'pandas', 'polars', 'tqdm') if m in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_the_version_is_that_of_the_metadata():
    from importlib.metadata import version

    assert version("pada") == pada.__version__
