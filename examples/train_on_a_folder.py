"""Train on a folder of unlabelled crops, then compare two of them.

python examples/train_on_a_folder.py FOLDER '_c(?P<camera>[0-9]+)'
"""

import sys

import resight

folder, pattern = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
run = resight.train(folder, camera_pattern=pattern, settings={"optim.epochs": 10})
print(f"report: {run}/report.html")

crops = resight.read_crops(folder, camera_pattern=pattern)
one, other = resight.load(run).embed([crops.file(0), crops.file(1)])
print(f"{crops.paths[0]} and {crops.paths[1]}: similarity {one @ other:.2f}")
