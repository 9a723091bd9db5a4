"""Writes the tables of summary.md: rankings alone and fused, with `pada metrics`.

    python table.py PROGRAM > tables.md    # from this folder, with $PADA_DATA set to a folder with the table nb201
"""
import json
import statistics
import subprocess
import sys

PROGRAM = sys.argv[1]
PARTS = ["active-conv-params", "jacov", "synflow"]
STRUCTURAL = ["conv-depth", "active-conv-params", "pools"]


def metrics(truth, columns, fusion="log-ranks"):
    """tau-b and P@Top5% of one column, or of several that are fused."""
    files = ["--pred", columns[0]] if len(columns) == 1 else ["--fuse", ",".join(columns), "--fusion", fusion]
    done = subprocess.run([PROGRAM, "metrics", *files, "--truth", truth, "--json"], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["tau_b"], found["p_at_top_0.05"]


def cell(pairs):
    """Mean and standard deviation over seeds of tau-b and P@Top5%."""
    texts = []
    for values in zip(*pairs):
        sd = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        texts.append(f"{statistics.mean(values):.3f}{sd}")
    return " | ".join(texts)


def table(title, truth, zero_cost, scores, methods, seeds):
    def of(names):
        return [f"{zero_cost}:{name}" for name in names]

    print(f"\n## {title}\n\n| ranking | tau-b | P@Top5% |\n|---|--:|--:|")
    for name in dict.fromkeys(STRUCTURAL + ["synflow", "nwot", "jacov", "epe"]):
        print(f"| {name} | {cell([metrics(truth, of([name]))])} |")
    for label, names in (("structural", STRUCTURAL), ("zero-cost fused", PARTS), ("jacov + active-conv-params", PARTS[:2])):
        print(f"| {label}, log ranks | {cell([metrics(truth, of(names))])} |")
        print(f"| {label}, mean ranks | {cell([metrics(truth, of(names), 'ranks')])} |")
    print(f"\n| method, {seeds} seeds | alone: tau-b | P@Top5% | fused: tau-b | P@Top5% | + active-conv-params, mean ranks: tau-b | P@Top5% |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for method in methods:
        columns = [f"{scores}:{method}-s{seed}" for seed in range(seeds)]
        alone = [metrics(truth, [column]) for column in columns]
        fused = [metrics(truth, [column, *of(PARTS)]) for column in columns]
        size = [metrics(truth, [column, *of(["active-conv-params"])], "ranks") for column in columns]
        print(f"| {method} | {cell(alone)} | {cell(fused)} | {cell(size)} |")


table("CIFAR-10, 400 architectures, NAS-Bench-201", "nb201", "zero-cost-cifar10.csv", "../2026-11-26-table1-short/scores.csv",
      ["spos", "pada", "pada-plus-paths-early", "fairnas-released", "fairnas-paper"], 3)
table("Embedded images, 300 architectures, embedded table", "mini", "zero-cost-mini.csv", "../2026-11-25-ablation-mini/scores.csv",
      ["spos", "pada", "pada-paper", "constant-final", "pada-plus-paths-early", "pada-plus-mild-images"], 10)
