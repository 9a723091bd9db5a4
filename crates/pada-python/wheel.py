"""Packs a wheel for this machine from a library that cargo has built: python wheel.py LIBRARY FOLDER

`cargo xtask ci` tests the package with it, because maturin would compile every crate again with other features.
`cargo xtask wheels` makes the wheels that are published, with maturin.
"""

import base64
import hashlib
import re
import sys
import sysconfig
import zipfile
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib

HERE = Path(__file__).parent


def main(library: Path, folder: Path) -> Path:
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))
    module = project["tool"]["maturin"]["module-name"].replace(".", "/")
    project = project["project"]
    workspace = tomllib.loads((HERE.parents[1] / "Cargo.toml").read_text(encoding="utf-8"))
    version = workspace["workspace"]["package"]["version"]
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    minimum = project["requires-python"].removeprefix(">=").replace(".", "")
    tag = f"cp{minimum}-abi3-{platform}"
    about = f"{project['name']}-{version}.dist-info"
    files = {
        file.relative_to(HERE / "python").as_posix(): file.read_bytes()
        for file in sorted((HERE / "python").rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
    files[f"{module}.abi3.so"] = library.read_bytes()
    optional = [
        f"Requires-Dist: {name}; extra == '{extra}'"
        for extra, names in project["optional-dependencies"].items()
        for name in names
    ]
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {version}",
        f"Summary: {project['description']}",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {name}" for name in project["dependencies"]),
        *(f"Provides-Extra: {extra}" for extra in project["optional-dependencies"]),
        *optional,
        "",
    ]
    files[f"{about}/METADATA"] = "\n".join(metadata).encode()
    files[f"{about}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: wheel.py\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    record = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record.append(f"{name},sha256={digest},{len(data)}")
    files[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{project['name']}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return wheel


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), Path(sys.argv[2])))
