"""Run every program through the judge and print the figures."""

import argparse
import json

from benchmarks.judge.legitimate.measure import run_legitimate

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--tier", default="namespaces", choices=("confined", "namespaces"), help="strongest sandbox to use")
print(json.dumps(run_legitimate(parser.parse_args().tier), indent=1))
