"""What perceptrons with scikit-learn's interface note down from epoch to epoch, and when they stop."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.nn.perceptron.descent import Descent


class Records:
    """The part of a perceptron that keeps its curves and counts the epochs without progress."""

    early_stopping: bool
    n_iter_no_change: float
    tol: float
    verbose: Any
    n_iter_: int
    t_: int
    _optimizer: Descent

    def _open_records(self) -> None:
        """Go on with the records of an earlier fit, where there are such."""
        known = dict(vars(self))
        scores, score = known.get("validation_scores_"), known.get("best_validation_score_")
        loss = known.get("best_loss_")
        early = self.early_stopping
        self.loss_curve_: list[float] = known.get("loss_curve_", [])
        self._no_improvement_count: int = known.get("_no_improvement_count", 0)
        self.validation_scores_: list[float] | None = (scores or []) if early else None
        best = -np.inf if score is None else score
        self.best_validation_score_: float | None = best if early else None
        smallest = np.inf if loss is None else loss
        self.best_loss_: float | None = None if early else smallest

    def _record_loss(self, loss: float, n: int) -> None:
        self.n_iter_ += 1
        self.t_ += n
        self.loss_ = loss
        self.loss_curve_.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")
        if self.best_loss_ is not None:
            self._count_progress(loss <= self.best_loss_ - self.tol)
            self.best_loss_ = min(self.best_loss_, loss)

    def _record_score(self, score: float) -> bool:
        """Whether the score is the best so far."""
        assert self.validation_scores_ is not None
        assert self.best_validation_score_ is not None
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        self._count_progress(score >= self.best_validation_score_ + self.tol)
        better = score > self.best_validation_score_
        if better:
            self.best_validation_score_ = score
        return better

    def _count_progress(self, progress: bool) -> None:
        self._no_improvement_count = 0 if progress else self._no_improvement_count + 1

    def _epochs_left(self) -> float:
        """How many epochs there are before :meth:`_is_over` can be True, or the learning rate lowered."""
        return max(1, self.n_iter_no_change - self._no_improvement_count + 1)

    def _is_over(self) -> bool:
        """Whether there has been no progress for too long; the learning rate may be lowered instead."""
        if self._no_improvement_count <= self.n_iter_no_change:
            return False
        ending = self._optimizer.ends()
        if self.verbose:
            what = "validation score" if self.early_stopping else "training loss"
            then = ending or f"The learning rate is {self._optimizer.learning_rate:g} from now on"
            print(
                f"No {what} better by tol={self.tol:g} for {self.n_iter_no_change} epochs. {then}."
            )
        if ending:
            return True
        self._no_improvement_count = 0
        return False
