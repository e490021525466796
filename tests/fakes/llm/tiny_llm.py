"""A language model of a few megabytes with generated weights, in the format of llama.cpp.

Attention and feed-forward layers return zero and embeddings are one-hot, so only a table of bigram probabilities
remains. It writes random text; a grammar makes it well-formed.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

WIDTH, HEADS, INNER, CONTEXT = 384, 4, 64, 32_768
_FOLLOWS = {'"': 0.1, ",": 0.05, "}": 0.3, "]": 0.3, ":": 0.1, "{": 0.1, "[": 0.05, " ": 0.002, ".": 0.02, "-": 0.01}


def write_tiny_llm(path: Path, *, seed: int = 0) -> None:
    """Write the model; `seed` draws the probabilities of letters and digits."""
    import gguf

    characters = [chr(code) for code in range(32, 127)]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    tokens += ["\u2581" if c == " " else c for c in characters] + ["\n"]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * (len(characters) + 1)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: ")
    for name, weights in _weights(len(tokens), {c: 259 + i for i, c in enumerate(characters)}, seed).items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _weights(count: int, place: dict[str, int], seed: int) -> dict[str, np.ndarray]:
    follows = _follows(count, place, np.random.default_rng(seed))
    embedding = np.zeros((count, WIDTH), np.float32)
    embedding[np.arange(count), np.arange(count)] = 1.0
    output = np.zeros((count, WIDTH), np.float32)
    # RMS normalization gives a one-hot vector the length sqrt(WIDTH).
    output[:, :count] = np.log(follows / follows.sum(1, keepdims=True)).T / math.sqrt(WIDTH)
    weights = {
        "token_embd.weight": embedding,
        "output.weight": output,
        "output_norm.weight": np.ones(WIDTH, np.float32),
        "blk.0.attn_norm.weight": np.ones(WIDTH, np.float32),
        "blk.0.ffn_norm.weight": np.ones(WIDTH, np.float32),
    }
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        weights[f"blk.0.{name}.weight"] = np.zeros((WIDTH, WIDTH), np.float32)
    for name, shape in (("ffn_gate", (INNER, WIDTH)), ("ffn_up", (INNER, WIDTH)), ("ffn_down", (WIDTH, INNER))):
        weights[f"blk.0.{name}.weight"] = np.zeros(shape, np.float32)
    return weights


def _follows(count: int, place: dict[str, int], rng: np.random.Generator) -> np.ndarray:
    """Return the probability that each token (column) follows each token (row); strings and numbers end soon."""
    letters = [place[c] for c in "abcdefghijklmnopqrstuvwxyz"]
    digits = [place[c] for c in "0123456789"]
    follows = np.full((count, count), 1e-6)
    follows[:, letters] = 0.5 * rng.dirichlet(np.ones(26))
    follows[:, digits] = 0.2 * rng.dirichlet(np.ones(10))
    for character, weight in _FOLLOWS.items():
        follows[:, place[character]] = weight
    follows[:, 2] = 0.05
    for row in letters:
        follows[row, letters] = 0.3 / 26
        follows[row, place['"']], follows[row, 2] = 0.6, 0.15
    for row in digits:
        follows[row, digits] = 0.15 / 10
        follows[row, [place[","], place["}"], place["]"]]] = 0.4
        follows[row, place["."]] = 0.05
    return follows
