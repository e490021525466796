"""Makes two matrices on the GPU that no call has seen before."""

import torch


def make(seed, m, n, k):
    generator = torch.Generator(device="cuda").manual_seed(seed)
    a = torch.randn((m, k), generator=generator, device="cuda", dtype=torch.float16)
    b = torch.randn((k, n), generator=generator, device="cuda", dtype=torch.float16)
    return a, b
