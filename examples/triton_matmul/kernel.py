"""A matrix product in Triton. The block sizes are tuned; the code may be edited as well."""

import torch
import triton
import triton.language as tl


@triton.jit
def product(  # noqa: PLR0913  # Triton passes strides one by one
    a_at, b_at, c_at, m, n, k,
    a_row, a_column, b_row, b_column, c_row, c_column,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    # Programs are numbered in groups of rows, so that neighbours share columns of b in the cache.
    number = tl.program_id(0)
    rows, columns = tl.cdiv(m, BLOCK_M), tl.cdiv(n, BLOCK_N)
    in_group = GROUP * columns
    first = number // in_group * GROUP
    height = min(rows - first, GROUP)
    row, column = first + number % in_group % height, number % in_group // height
    at_m = (row * BLOCK_M + tl.arange(0, BLOCK_M)) % m
    at_n = (column * BLOCK_N + tl.arange(0, BLOCK_N)) % n
    at_k = tl.arange(0, BLOCK_K)
    a_at += at_m[:, None] * a_row + at_k[None, :] * a_column
    b_at += at_k[:, None] * b_row + at_n[None, :] * b_column
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for step in range(tl.cdiv(k, BLOCK_K)):
        left = k - step * BLOCK_K
        a = tl.load(a_at, mask=at_k[None, :] < left, other=0.0)
        b = tl.load(b_at, mask=at_k[:, None] < left, other=0.0)
        total = tl.dot(a, b, total)
        a_at += BLOCK_K * a_column
        b_at += BLOCK_K * b_row
    out_m = row * BLOCK_M + tl.arange(0, BLOCK_M)
    out_n = column * BLOCK_N + tl.arange(0, BLOCK_N)
    inside = (out_m[:, None] < m) & (out_n[None, :] < n)
    tl.store(c_at + out_m[:, None] * c_row + out_n[None, :] * c_column, total.to(tl.float16), mask=inside)


def matmul(a, b, *, block_m, block_n, block_k, group, warps, stages):  # noqa: PLR0913  # what is tuned
    (m, k), n = a.shape, b.shape[1]
    c = torch.empty((m, n), device=a.device, dtype=torch.float16)
    grid = (triton.cdiv(m, block_m) * triton.cdiv(n, block_n),)
    product[grid](
        a, b, c, m, n, k, *a.stride(), *b.stride(), *c.stride(),
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, GROUP=group, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return c
