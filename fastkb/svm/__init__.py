"""Floor 4: support vector machines, on kernel rows that the engine computes.

    minimise  ½ βᵀ K β + linearᵀ β + kink Σ|βₜ|,  lower ≤ β ≤ upper,  the sum of each group kept

A newcomer begins with `problem.py`: all five machines are that one problem. Then `smo/solver.py` says how
it is solved, and `estimators/svc.py` what users call.

==================== ==================================================================================
`problem.py`          the quadratic problem, and how each machine is written as one
`kernel.py`           values of the kernel: blocks, products, diagonal
`smo/`                how the problem is solved
`estimators/`         scikit-learn's machines
`textbook.py`         the hinge loss with λ, as textbooks write it
`checks.py`           parameters, weights, kernel matrices
==================== ==================================================================================
"""

from __future__ import annotations

from typing import Any

_PUBLIC = ("hinge_objective", "regularization_to_C")

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'fastkb.svm' has no attribute {name!r}")
    from fastkb.svm import textbook

    return getattr(textbook, name)
