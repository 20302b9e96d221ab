"""What is known of a kernel ridge regression and its data, from which bands of every kind are made.

:class:`RidgeStudy` keeps the data, computes when it is asked, and everything once: the choice of a
search, the calibration by the wild bootstrap (confidence and simultaneous bands), and the left-out
errors (prediction bands).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fastkb.bands.checks import check_rows_are_known
from fastkb.bands.coverage import plausible
from fastkb.bands.coverage.calibration import Calibration, Widths, calibrate
from fastkb.bands.coverage.jackknife import jackknife_plus, left_out_errors
from fastkb.bands.coverage.neighbourhood import among_data
from fastkb.bands.coverage.own_fit import ChosenFit
from fastkb.bands.kinds import SHARE
from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.checks.numbers import check_squares
from fastkb.ridge.estimator import KernelRidge
from fastkb.ridge.search import KernelRidgeCV
from fastkb.runtime.progress import ProgressLike, counted
from fastkb.runtime.threads import limit_blas, n_threads, thread_map

Band = tuple[np.ndarray, np.ndarray]  # low and high  # shape: (m, n_targets) each


class Choice(NamedTuple):
    """What an estimator chose from the data, and among what.

    Parameters
    ----------
    gamma : float or None
        The kernel's γ; None where the kernel has none to choose.
    alpha : ndarray
        The penalty of each target.  # shape: (n_targets,)
    gammas, alphas : ndarray or None
        The candidates.
    criterion : {"reml", "loo"}
    n_judged : int or None
        Rows on which kernels of high rank were judged; None: all rows.
    """

    gamma: float | None
    alpha: np.ndarray
    gammas: np.ndarray | None
    alphas: np.ndarray
    criterion: str
    n_judged: int | None


class OfWidths:
    """Bands around a curve whose standard errors, and how many of them a band takes, are known.

    Attributes
    ----------
    center : ndarray
        The fit on all data, around which bands are laid.  # shape: (m, n_targets)
    widths : Widths
    """

    center: np.ndarray
    widths: Widths

    def confidence(self, level: float, share: float) -> Band:
        """The band that holds the true curve at `level` at a share of the points among the data."""
        half = self.widths.pointwise(level, share) * self.widths.spread
        return self.center - half, self.center + half

    def simultaneous(self, level: float) -> Band:
        """The band that holds the whole curve, and so is never narrower than one that holds a part."""
        widths = self.widths
        errors = np.maximum(widths.simultaneous(level), widths.pointwise(level, SHARE))
        half = errors * widths.spread
        return self.center - half, self.center + half


class Saved(OfWidths):
    """What a file keeps of a study.

    Parameters
    ----------
    center : ndarray
        # shape: (m, n_targets)
    widths : Widths
    """

    def __init__(self, center: np.ndarray, widths: Widths) -> None:
        self.center, self.widths = center, widths

    @property
    def known_widths(self) -> Widths:
        """Those of the file: a band that was loaded can be saved."""
        return self.widths


class RidgeStudy(OfWidths):
    """Bands of one estimator on one data set.

    Parameters
    ----------
    estimator : KernelRidge or KernelRidgeCV
    data : Data
    alpha : ndarray or None
        Penalty of each target; None for an estimator that chooses it.  # shape: (n_targets,)
    key : ndarray of uint32
        Names the stream of the wild bootstrap.  # shape: (4,)
    n_resamples : int
    progress : bool, default False

    Attributes
    ----------
    center : ndarray
        The fit on all data, around which bands are laid: to be set first.  # shape: (m, n_targets)
    """

    def __init__(
        self,
        estimator: Any,
        data: plausible.Data,
        alpha: np.ndarray | None,
        key: np.ndarray,
        n_resamples: int,
        progress: ProgressLike = False,
    ) -> None:
        self._estimator, self._data, self._alpha = estimator, data, alpha
        self._key, self._n_resamples, self._progress = key, n_resamples, progress

    @functools.cached_property
    def _plausible(self) -> plausible.Plausible:
        check_rows_are_known(self._estimator, "confidence or simultaneous")
        check_squares("y", self._data.y)
        with in_threads() as mapping, self._kernels_seen() as advance:
            if self._alpha is None:
                return plausible.of_search(self._estimator, self._data, mapping, advance=advance)
            return plausible.of_fixed(self._estimator, self._data, self._alpha, mapping, advance)

    def searched(self) -> plausible.Plausible:
        """What an estimator chooses from, and how, without curves that are plausible beside."""
        check_squares("y", self._data.y)
        with in_threads() as mapping, self._kernels_seen() as advance:
            return plausible.of_search(self._estimator, self._data, mapping, False, advance)

    @contextlib.contextmanager
    def _kernels_seen(self) -> Iterator[Callable[[str], Any]]:
        """A counter of kernels on standard error, if progress is wanted; it goes when they are done."""
        with counted(self._progress, "kernels", leave=False) as bar:
            yield lambda kernel: bar.update(1)

    @functools.cached_property
    def choice(self) -> Choice | None:
        """What was chosen; None where the estimator's parameters were given."""
        if self._alpha is not None:
            return None
        found = self.__dict__.get("_plausible") or self.searched()
        return self.chosen_from(found)

    def chosen_from(self, found: plausible.Plausible) -> Choice:
        """The choice from all data."""
        candidates, own, y = found.candidates, found.own, self._data.y
        assert isinstance(own, ChosenFit)
        with limit_blas(1):
            projected = [candidates.project(i, y) for i in range(len(candidates.spectra))]
            criteria = np.stack([part.criterion for part in projected])
            flat = own.choose(y, projected, criteria, y.shape[1])
        indices, places = np.divmod(flat, len(candidates.alphas))
        kernels = [found.entries[i].kernel for i in indices]
        allowed = own.allowed.any(axis=0)
        return Choice(
            kernels[0].gamma,
            candidates.alphas[places],
            found.gammas,
            candidates.alphas[allowed],
            own.criterion,
            found.n_judged,
        )

    @functools.cached_property
    def fixed(self) -> Any:
        """The estimator with the parameters that it chose, or as it was given."""
        if self.choice is None:
            return self._estimator
        search = self._estimator
        alpha = self.choice.alpha
        return KernelRidge(
            alpha if search.alpha_per_target and len(alpha) > 1 else float(alpha[0]),
            kernel=search.kernel,
            gamma=self.choice.gamma,
            degree=search.degree,
            coef0=search.coef0,
            kernel_params=search.kernel_params,
            fit_intercept=search.fit_intercept,
        )

    def wild_bootstrap(self) -> Calibration:
        """The wild bootstrap of everything that the estimator does; of it the widths are kept."""
        found, data = self._plausible, self._data
        _ = self.choice  # while the candidates are there
        with (
            in_threads() as mapping,
            counted(self._progress, "replicates", self._n_resamples) as bar,
        ):
            result = calibrate(
                found.candidates,
                found.own,
                data.y,
                self._key,
                self._n_resamples,
                among_data(data.X, data.X_eval),
                mapping,
                bar.update,
            )
        # Candidates of a thousand rows are hundreds of megabytes, and are not needed again.
        del self.__dict__["_plausible"]
        self.__dict__["widths"] = result.widths
        return result

    @functools.cached_property
    def widths(self) -> Widths:  # type: ignore[override]
        """Those of the wild bootstrap."""
        return self.wild_bootstrap().widths

    @property
    def known_widths(self) -> Widths | None:
        """Those that have been computed already."""
        return self.__dict__.get("widths")

    @functools.cached_property
    def _left_out(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The smoother and the left-out errors of each target."""
        data, estimator = self._data, self.fixed
        alpha = self._alpha if self.choice is None else self.choice.alpha
        assert alpha is not None
        source = KernelSource(estimator, data.X, data.X_eval)
        centred = bool(getattr(estimator, "fit_intercept", False))
        with limit_blas(1):
            one = plausible.own_spectrum(source, centred, float(alpha.min()))
            smoothers = plausible.own_smoothers(one, alpha)
            errors = [left_out_errors(one, a, data.y[:, t]) for t, a in enumerate(alpha.tolist())]
        return list(zip(smoothers, errors, strict=True))

    def prediction(self, level: float) -> Band:
        """The band that holds new observations."""
        bands = [
            jackknife_plus(self.center[:, t], smoother, errors, level)
            for t, (smoother, errors) in enumerate(self._left_out)
        ]
        low, high = zip(*bands, strict=True)
        return np.stack(low, axis=1), np.stack(high, axis=1)


def choose(
    estimator: Any, X: np.ndarray, y: np.ndarray, progress: ProgressLike = False
) -> tuple[Any, Choice | None]:
    """The estimator with what it chooses from the data, and the choice.

    Parameters
    ----------
    estimator : KernelRidge or KernelRidgeCV
        The first comes back as it is, with None.
    X : ndarray
        # shape: (n, d)
    y : ndarray
        # shape: (n,)
    progress : bool or callable, default False
    """
    if not isinstance(estimator, KernelRidgeCV):
        return estimator, None
    data = plausible.Data(X, y[:, None], X[:1])
    study = RidgeStudy(estimator, data, None, np.zeros(4, np.uint32), 0, progress)
    return study.fixed, study.choice


@contextlib.contextmanager
def in_threads() -> Iterator[Callable[..., Iterable[Any]]]:
    """A `map` on as many threads as parallel regions have, BLAS on one in each.

    Every call of BLAS is then computed by one thread, so that results do not depend on their number.
    """
    with limit_blas(1), thread_map(n_threads(), "bands") as mapping:
        yield mapping
