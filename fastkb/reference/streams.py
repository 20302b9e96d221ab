"""Philox4x32-10, bounded integers and weights from their definitions, in plain NumPy."""

from __future__ import annotations

import math

import numpy as np


def philox(counter, key):
    """Philox4x32-10 of counters (…, 4) under one key (2,).  # shape: (…, 4), uint32"""
    c = [np.asarray(counter, dtype=np.uint64)[..., i] for i in range(4)]
    k = [int(key[0]), int(key[1])]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [
            (p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]),
            p1 & low,
            (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]),
            p0 & low,
        ]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return np.stack(c, axis=-1).astype(np.uint32)


def words(key, replicate, n_words):
    """The first words of a replicate's stream.  # shape: (n_words,), uint32"""
    blocks = -(-n_words // 4)
    counter = np.zeros((blocks, 4), dtype=np.uint64)
    counter[:, 0] = np.arange(blocks)
    counter[:, 1] = replicate
    counter[:, 2:] = key[2:]
    return philox(counter, key[:2]).ravel()[:n_words]


def bounded(stream, n):
    """The stream's words as integers below n by Lemire's method, rejected ones left out."""
    product = stream.astype(np.uint64) * np.uint64(n)
    accepted = (product & np.uint64(0xFFFFFFFF)) >= 2**32 % n
    return (product[accepted] >> np.uint64(32)).astype(np.int64)


def bootstrap_indices(key, replicate, n):
    """Draw n times from range(n) with replacement.  # shape: (n,)"""
    n_words = n
    while len(indices := bounded(words(key, replicate, n_words), n)) < n:
        n_words += n
    return indices[:n]


def bootstrap_counts(key, replicate, n):
    """How often each index is drawn.  # shape: (n,)"""
    return np.bincount(bootstrap_indices(key, replicate, n), minlength=n)


def dirichlet(key, replicate, lengths):
    """Normalised unit exponentials for each sample, two words each.  # shapes: (n_j,)"""
    high, low = words(key, replicate, 2 * sum(lengths)).reshape(-1, 2).astype(np.uint64).T
    k = (high >> np.uint64(6)) * np.uint64(2**26) + (low >> np.uint64(6))
    parts = np.split(-np.log((k + 0.5) * 2.0**-52), np.cumsum(lengths)[:-1])
    return [part / part.sum() for part in parts]


def geometric_runs(key, replicate, n, mean):
    """Starts on a circle and geometric lengths, two words each, until n observations are drawn."""
    starts: list = []
    lengths: list = []
    n_words = 4 * n
    while sum(lengths) < n:
        starts, lengths = [], []
        for one, other in words(key, replicate, n_words).reshape(-1, 2).tolist():
            if one * n % 2**32 < 2**32 % n:
                continue
            length = 1
            if mean > 1:
                length += math.floor(math.log((other + 0.5) * 2.0**-32) / math.log1p(-1 / mean))
            starts.append(one * n >> 32)
            lengths.append(min(length, n - sum(lengths)))
            if sum(lengths) == n:
                break
        n_words *= 2
    return starts, lengths
