"""The product of PyTorch, which calls cuBLAS: what the kernel has to return, and the speed that it is measured by."""

import torch


def matmul(a, b):
    return torch.matmul(a, b)
