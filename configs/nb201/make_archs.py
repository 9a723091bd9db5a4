"""Prints a fixed random sample of architectures of NAS-Bench-201.

    python make_archs.py ../../data/nasbench201/nasbench201.csv 400 > archs400.txt
    python make_archs.py ../../data/nasbench201/nasbench201.csv 1000 > archs1000.txt
"""
import csv
import random
import sys

rows = {int(row["index"]): row["ops"] for row in csv.DictReader(open(sys.argv[1]))}
count = int(sys.argv[2])
print(f"# {count:,} random architectures of NAS-Bench-201. Their official indices are")
print(f"# sorted(random.Random(1234).sample(range(15625), {count})) in CPython; make_archs.py writes this file.")
for index in sorted(random.Random(1234).sample(range(15625), count)):
    print(rows[index])
