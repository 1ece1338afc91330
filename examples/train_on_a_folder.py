"""Train on a folder of unlabelled crops, then compare two of them.

python examples/train_on_a_folder.py FOLDER '_c(?P<camera>[0-9]+)'
"""

import sys

import numpy as np
import torch
from PIL import Image

import resight

folder, pattern = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
run = resight.train(folder, camera_pattern=pattern, settings={"optim.epochs": 10})
print(f"report: {run}/report.html")

encoder, (height, width) = resight.load(run)
crops = resight.read_crops(folder, camera_pattern=pattern)
pictures = [Image.open(crops.file(i)).convert("RGB").resize((width, height)) for i in (0, 1)]
pixels = torch.from_numpy(np.stack([np.asarray(p) for p in pictures])).permute(0, 3, 1, 2)
with torch.inference_mode():
    one, other = encoder(encoder.normalise(pixels))["global"]
print(f"{crops.paths[0]} and {crops.paths[1]}: similarity {float(one @ other):.2f}")
