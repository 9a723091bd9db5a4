"""Writes the rows of nb201_head.csv as a pickled pandas frame, in the form of mini-bench-arch-cell-accs.pd.

    python make_short_runs.py short_runs_3.pd 3    # Python 3.7, pandas 1.0.5, numpy 1.21.6
    python make_short_runs.py short_runs_4.pd 4    # the same
    python make_short_runs.py short_runs_5.pd 5    # Python 3.8, pandas 1.1.5, numpy 1.24.4

The number is the pickle protocol. A third argument names another table to take the rows from.
"""
import sys
import pandas as pd

COLUMNS = {
    "arch": "index", "cellstr": "arch_str", "cifar10-test": "cifar10_test_12", "cifar10-val": "cifar10_valid_12",
    "cifar100-test": "cifar100_test_12", "cifar100-val": "cifar100_valid_12",
    "imagenet-test": "imagenet16_test_12", "imagenet-val": "imagenet16_valid_12",
}
table = pd.read_csv(sys.argv[3] if len(sys.argv) > 3 else "nb201_head.csv", dtype={"ops": str})
rows = [[row[column] for column in COLUMNS.values()] for _, row in table.iterrows()]
pd.DataFrame(rows, columns=list(COLUMNS)).to_pickle(sys.argv[1], protocol=int(sys.argv[2]))
