"""The blur in NumPy: what the kernel has to return, and the speed that it is measured by."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def blur(image, weights):
    windows = sliding_window_view(np.pad(image, 2), weights.shape)
    return np.einsum("yxij,ij->yx", windows, weights)
