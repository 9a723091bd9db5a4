"""Prints archs400.txt: 400 architectures of NAS-Bench-201, drawn once and for all.

    python make_archs400.py ../../data/nasbench201/nasbench201.csv > archs400.txt
"""
import csv
import random
import sys

rows = {int(row["index"]): row["ops"] for row in csv.DictReader(open(sys.argv[1]))}
print("# sorted(random.Random(1234).sample(range(15625), 400)) of CPython, as official indices of NAS-Bench-201;")
print("# made by make_archs400.py")
for index in sorted(random.Random(1234).sample(range(15625), 400)):
    print(rows[index])
