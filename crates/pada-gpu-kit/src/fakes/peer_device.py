import json
import sys

print(json.dumps({"peer": "torch", "called": sys.argv[1:], "mean_s": 0.02}))
