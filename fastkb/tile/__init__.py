"""Floor 2: the tile engine. One computation, *many sums over columns, each followed by a scalar
function*, stands behind every Gram matrix::

      X (n, d)                                     result (n, m)
    ┌──────────┐   pack     panels of mr rows     ┌────┬────┬────┐
    │          │ ────────►  a a a a …        ┐    │tile│tile│tile│
    │          │                             │    ├────┼────┼────┤
    └──────────┘            micro-kernel ◄───┤    │  ▲ │    │    │
      Y (m, d)              mr x nr sums     │    └──┼─┴────┴────┘
    ┌──────────┐   pack     in registers     │       │
    │          │ ────────►  b b b b … ───────┘       │ write; write the mirror image
    └──────────┘            panels of nr rows        │
                                 │                   │
                                 ▼                   │
                            tile buffer ──► epilogue g(t), in place
                            (stack, 96 x 96)  one vectorised loop

=================  =============================================================================
module             what it holds
=================  =============================================================================
:mod:`.blocking`   every size, each with its reason: the only place that knows about hardware
:mod:`.vector`     vector loads and stores, transposition: LLVM IR
:mod:`.pack`       rows of the data laid out as the micro-kernel reads them
:mod:`.multiply`   the one loop nest around the micro-kernels, which `.micro_kernel` builds
:mod:`.epilogue`   the switch over the scalar functions of :mod:`fastkb.scalar.kernels`
:mod:`.cpu`        the driver: tiles over threads, edges, mirrors
:mod:`.sinks`      what becomes of a tile: stored, mirrored, added, multiplied
:mod:`.cuda`       its twin for CUDA: `.cuda_layout` says where everything lies, `.cuda_epilogue`
                   is the twin of epilogue and sinks, `.cuda_matrices` work on whole matrices,
                   `.cuda_reduce` is the twin of the sink "reduce"
:mod:`.lanes`      values of which a vector holds one element of several observations: images
=================  =============================================================================

What holds for every result, and is tested:

* An element depends on its two rows alone: it is the sum over columns in their order, rounded once a
  column. Where in a tile it stands, the size of tiles, the number of threads, the memory layout of the
  input and of the result change no bit.
* For Y absent the matrix is symmetric to the last bit: each tile above the diagonal is written twice.
* Distances are sums of differences. Nothing cancels, and the distance of a row to itself is 0.

``docs/engine.md`` explains the same to somebody who knows NumPy.
"""
