"""Restores the files of a data set from the parts that `cargo xtask gpu-kit --data` wrote. It needs Python's standard library only.

    python3 restore.py [--into DIR] [--list FILE] PART…     decompresses parts and checks the SHA-256 of what they hold
    python3 restore.py [--into DIR] [--list FILE] --missing lists the files that are not there yet, and fails if there are any

FILE has a line for every part: the SHA-256 of the restored file, the name of the part, and where below DIR the file belongs. Without
--list it is parts.txt beside this script; without --into, DIR is `data` beside this script.
"""
import argparse
import gzip
import hashlib
import os
import sys
import tempfile
import zlib

# No file of a data set is larger. A damaged part must not fill the disk.
LARGEST = 64 * 1024 * 1024
CHUNK = 1024 * 1024
HERE = os.path.dirname(os.path.abspath(__file__))


class Refused(Exception):
    pass


def read_list(path):
    parts = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                sha256, name, place = line.split()
                parts[name] = (sha256, place)
    return parts


def restore(part, sha256, path):
    """Writes what a part holds to `path`, whole or not at all."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False) as out:
        try:
            found, size = hashlib.sha256(), 0
            with gzip.open(part) as packed:
                while chunk := packed.read(CHUNK):
                    size += len(chunk)
                    if size > LARGEST:
                        raise Refused(f"it holds more than {LARGEST} bytes")
                    found.update(chunk)
                    out.write(chunk)
            if found.hexdigest() != sha256:
                raise Refused(f"what it holds has SHA-256 {found.hexdigest()}, not {sha256}")
            out.close()
            os.chmod(out.name, 0o644)
            os.replace(out.name, path)
        except BaseException:
            os.unlink(out.name)
            raise


def holds(path, sha256):
    if not os.path.isfile(path):
        return False
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest() == sha256


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", default=os.path.join(HERE, "data"), metavar="DIR")
    parser.add_argument("--list", default=os.path.join(HERE, "parts.txt"), metavar="FILE")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("parts", nargs="*", metavar="PART")
    arguments = parser.parse_args()
    if arguments.missing == bool(arguments.parts):
        parser.error("name the parts, or give --missing")
    parts = read_list(arguments.list)
    if arguments.missing:
        missing = [name for name, (sha256, place) in parts.items() if not holds(os.path.join(arguments.into, place), sha256)]
        for name in missing:
            print(f"missing: {parts[name][1]}, which is in the part {name}")
        if missing:
            print(f"error: {len(missing)} of {len(parts)} files are missing; restore them with: run.sh data PART…")
            return 1
        print(f"all {len(parts)} files are there and have the right SHA-256")
        return 0
    failed = 0
    for part in arguments.parts:
        name = os.path.basename(part)
        try:
            if name not in parts:
                raise Refused(f"no part is called so; there are {', '.join(parts)}")
            sha256, place = parts[name]
            restore(part, sha256, os.path.join(arguments.into, place))
            print(f"restored {place}")
        except (Refused, OSError, EOFError, zlib.error) as error:
            failed += 1
            print(f"error: {part}: {error}; copy the part again")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
