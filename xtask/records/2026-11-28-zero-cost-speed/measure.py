"""Times zero-cost scores of this project and of PyTorch in turn, on a machine that does nothing else. Prints a table.

    cargo build --release -p pada-train
    python measure.py ../../../target/release/pada    # a Python with torch and numpy

C=16 and N=5 on images of 3x32x32, batch 64, 2 threads, architectures of NAS-Bench-201 that are drawn at random: 48 for synflow, 24 for nwot
and jacov. `pada score` computes structural duplicates once, and the list has none. Median of five rounds, in milliseconds per architecture.
"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROUNDS, THREADS = 5, "2"
DISTINCT = 7548  # cells of NAS-Bench-201 without unreachable operations, each counted once
HERE = pathlib.Path(__file__).parent


def main():
    pada, rows = sys.argv[1], []
    with tempfile.TemporaryDirectory() as folder:
        for name, count in [("synflow", 48), ("nwot", 24), ("jacov", 24)]:
            ours, theirs, table = [], [], f"{folder}/{name}.csv"
            command = [pada, "score", "--data", "cifar10", "--archs", f"random:{count}", "--proxies", name, "--threads", THREADS]
            for round in range(ROUNDS + 1):
                run = subprocess.run([*command, "--json", "--quiet", "--out", table], capture_output=True, text=True, check=True)
                found = json.loads(run.stdout.splitlines()[-1])["seconds_of"][name] / count
                peer = [sys.executable, str(HERE / "torch_scores.py"), table, name, "64", THREADS]
                other = float(subprocess.run(peer, capture_output=True, text=True, check=True).stdout)
                if round > 0:
                    ours.append(found)
                    theirs.append(other)
                print(name, found, other, file=sys.stderr)
            a, b = statistics.median(ours), statistics.median(theirs)
            rows.append(f"| `{name}` | {1000 * a:.1f} | {1000 * b:.1f} | {b / a:.1f} | {a * DISTINCT / 60:.1f} min |")
    print("| score | `pada score`, ms | PyTorch, ms | ratio | all 7,548 distinct cells |\n|---|---|---|---|---|")
    print("\n".join(rows))


main()
