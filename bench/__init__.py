"""Benchmarks: one registry of works, their rivals and their shapes, and two ways to run it.

::

    registry ──► work: data, fastkb, rivals, agreement, bound
       │
       ├──► pytest bench/            each contender of each work on its own (pytest-benchmark)
       └──► python -m bench report   interleaved medians, ratios, fraction of the machine's ceiling

The rules that every figure obeys: the same work, in one process run, on the same number of
threads; warm-up outside the timing, first calls (which may compile) reported apart; contenders
interleaved, so that noise hits all of them; and no ratio without agreement, checked in the same run
against a tolerance that is derived. docs/benchmarks.md explains the figures.
"""
