"""Makes what the kernel is called with: an image and weights that no call has seen before."""

import numpy as np


def make(seed, height, width):
    random = np.random.default_rng(seed)
    return random.random((height, width), np.float32), random.random((5, 5), np.float32)
