"""Prints archs400.txt, a fixed random sample of 400 architectures of NAS-Bench-201.

    python make_archs400.py ../../data/nasbench201/nasbench201.csv > archs400.txt
"""
import csv
import random
import sys

rows = {int(row["index"]): row["ops"] for row in csv.DictReader(open(sys.argv[1]))}
print("# 400 random architectures of NAS-Bench-201. Their official indices are sorted(random.Random(1234).sample(range(15625), 400)) in CPython;")
print("# make_archs400.py writes this file.")
for index in sorted(random.Random(1234).sample(range(15625), 400)):
    print(rows[index])
