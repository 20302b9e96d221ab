"""Which curves are plausible for an estimator's data, and what the estimator itself makes of responses.

The plausible curves are the same for every estimator: radial kernels of nine widths around the median
distance of the rows, smooth (``rbf``) and rough (``laplacian``), each with the default penalties, the
estimator's own kernel where that is another one, and a constant. Rough kernels are there for steps and
kinks: where the data speak for them, a smooth fit is given a wider band. All have an intercept.

Many rows: kernels whose rank is low are decomposed on all of them. The others are judged on some rows
first, drawn at random. Of those that are likely there, the ones that the estimator chooses from are
decomposed whole on up to 4,000 rows; beyond that, and of the plausible ones, the rank is cut off, and
what that leaves out counts as bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from fastkb.bands.coverage.candidates import Candidates
from fastkb.bands.coverage.levels import different_rows, few_levels, gentle, keeps_means
from fastkb.bands.coverage.own_fit import ChosenFit, FixedFit, OwnFit
from fastkb.bands.coverage.spectrum import Spectrum, from_matrix, spectrum, truncated_spectrum
from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.ridge.checks import check_own_gammas
from fastkb.ridge.kernel_matrix import KernelChoice
from fastkb.ridge.selection.grid import DEFAULT_ALPHAS, default_gammas

# Up to so many rows a kernel of full rank is decomposed as a whole: 0.2 s for each on one core.
JUDGED_ROWS = 1000
# Ranks up to this are low for more rows, and higher ones are cut off there.
_LOW_RANK = 300
# Kernels of high rank are kept if they are this likely beside the likeliest one: less likely ones move
# no band.
_SPEAKS = 0.05
# On all rows, kernels that are less likely go.
_UNLIKELY = 1e-6
# Numbers of a spectrum's axes, at most: 64 MiB.
_AXES = 2**23
# The estimator's own smoother may cost more: it is one.
_OWN_ROWS = 4000
_OWN_RANK = 3000
# Numbers of its axes, at most: 512 MiB.
_OWN_AXES = 2**26

_Map = Callable[..., Iterable[Any]]
_Advance = Callable[[str], Any]


class Data(NamedTuple):
    """Data of a regression, and where it is evaluated."""

    X: Any  # shape: (n, d)
    y: np.ndarray  # shape: (n, n_targets)
    X_eval: Any  # shape: (m, d)


class Entry(NamedTuple):
    """A kernel, and what it is a candidate for."""

    kernel: KernelChoice
    centred: bool
    plausible: bool
    own: bool


class ChosenBy(NamedTuple):
    """How an estimator chooses among its kernels."""

    criterion: str = "reml"
    alphas: np.ndarray = np.zeros(0, bool)  # which penalties are its own.  # shape: (n_alphas,)


class Plausible(NamedTuple):
    """Candidates, and the estimator's own fit among or beside them."""

    candidates: Candidates
    own: OwnFit
    entries: list[Entry]  # one for each spectrum that is a kernel's
    n_judged: int | None  # rows that kernels of high rank were judged on; None: all
    gammas: np.ndarray | None = None  # what a search was offered, ascending


def of_fixed(
    estimator: Any,
    data: Data,
    alpha: np.ndarray,
    mapping: _Map,
    advance: _Advance = lambda kernel: None,
) -> Plausible:
    """For an estimator whose kernel and penalties are given.

    Parameters
    ----------
    estimator : KernelRidge
    data : Data
    alpha : ndarray
        Penalty of each target.  # shape: (n_targets,)
    mapping : callable
        As :func:`map`, perhaps on several threads.
    advance : callable
        Told of each kernel that is decomposed.
    """
    choice = KernelChoice.of(estimator)
    source = KernelSource(estimator, data.X, data.X_eval)
    centred = bool(getattr(estimator, "fit_intercept", False))
    smoothers = own_smoothers(own_spectrum(source, centred, float(alpha.min())), alpha)
    entries = [*radial_entries(data.X), *_own_as_prior(choice, source)]
    candidates, entries, n_judged = _candidates(
        entries, data, DEFAULT_ALPHAS, ChosenBy(), mapping, advance
    )
    return Plausible(candidates, FixedFit(smoothers, centred), entries, n_judged)


def of_search(
    estimator: Any,
    data: Data,
    mapping: _Map,
    radial: bool = True,
    advance: _Advance = lambda kernel: None,
) -> Plausible:
    """For an estimator that chooses its kernel's width and its penalty.

    Parameters
    ----------
    estimator : KernelRidgeCV
    data : Data
    mapping : callable
    radial : bool, default True
        Whether plausible curves are wanted, and not the estimator's own candidates alone.
    advance : callable
        Told of each kernel that is decomposed.
    """
    choice = KernelChoice.of(estimator)
    alphas = DEFAULT_ALPHAS if estimator.alphas is None else np.ravel(estimator.alphas)
    gammas = None
    if choice.takes_gamma:
        gammas = estimator.gammas
        if gammas is None:
            gammas = check_own_gammas(default_gammas(data.X, choice.kernel))
        gammas = None if gammas is None else np.ravel(gammas)
    widths = [None] if gammas is None else sorted({float(gamma) for gamma in gammas})
    chosen_from = [choice._replace(gamma=gamma) for gamma in widths]
    centred = bool(estimator.fit_intercept)
    entries = []
    for entry in radial_entries(data.X) if radial else []:
        entries.append(entry._replace(own=centred and entry.kernel in chosen_from))
    among = [entry.kernel for entry in entries if entry.own]
    for kernel in chosen_from:
        if kernel not in among:
            plausible = not radial or (centred and gammas is None)
            entries.append(Entry(kernel, centred, plausible, True))
    both = np.unique(np.concatenate([DEFAULT_ALPHAS, alphas]))
    chosen_by = ChosenBy(estimator.criterion, np.isin(both, alphas))
    candidates, entries, n_judged = _candidates(entries, data, both, chosen_by, mapping, advance)
    allowed = _chosen_from(candidates, entries, chosen_by)
    own = ChosenFit(candidates, allowed, estimator.criterion, bool(estimator.alpha_per_target))
    offered = None if gammas is None else np.array(widths)
    return Plausible(candidates, own, entries, n_judged, offered)


def radial_entries(X: Any) -> list[Entry]:
    """The kernels that are plausible for any data, the widest of each kind first."""
    entries = []
    for name in ("rbf", "laplacian"):
        gammas = check_own_gammas(default_gammas(X, name))
        assert gammas is not None
        for gamma in gammas:
            entries.append(Entry(KernelChoice(name, float(gamma)), True, True, False))
    return entries


def _own_as_prior(choice: KernelChoice, source: KernelSource) -> list[Entry]:
    """The estimator's own kernel, unless it is one of the radial ones or no prior at all."""
    if source.is_precomputed or not source.is_positive_semidefinite:
        return []
    if choice.kernel in ("rbf", "laplacian"):
        return []
    return [Entry(choice, True, True, False)]


def _candidates(
    entries: list[Entry],
    data: Data,
    alphas: np.ndarray,
    own: ChosenBy,
    mapping: _Map,
    advance: _Advance,
) -> tuple[Candidates, list[Entry], int | None]:
    n = len(data.y)
    levels = few_levels(data.X)

    def assemble(found: list[Spectrum | None], part: Data) -> tuple[Candidates, list[Entry]]:
        pairs = zip(entries, found, strict=True)
        kept = [(entry, one) for entry, one in pairs if one is not None]
        mine = np.array([entry.plausible for entry, _ in kept])
        prior = np.outer(mine, np.isin(alphas, DEFAULT_ALPHAS)).astype(float)
        candidates = Candidates([one for _, one in kept], alphas, prior)
        if levels is not None:
            candidates = _gentle_ones(candidates, part)
        elif mine.any():
            weight = sum(entry.plausible for entry in entries) * _half_decades_of_constants(n)
            candidates = candidates.with_constant(weight)
        return candidates, [entry for entry, _ in kept]

    def decompose(entry: Entry, part: Data, max_rank: int) -> Spectrum | None:
        source = KernelSource(entry.kernel, part.X, part.X_eval)
        advance(str(entry.kernel.kernel))
        return spectrum(source, entry.centred, float(alphas.min()), max_rank, JUDGED_ROWS)

    if n <= JUDGED_ROWS:
        found = list(mapping(lambda entry: decompose(entry, data, n), entries))
        return *assemble(found, data), None

    # Kernels of high rank are judged on a part of the rows, out of step with any order of the data.
    rows = np.sort(np.random.default_rng(0).choice(n, JUDGED_ROWS, replace=False))
    some = Data(data.X[rows], data.y[rows], data.X_eval[:1])
    judged = list(mapping(lambda entry: decompose(entry, some, JUDGED_ROWS), entries))
    speaks = _likeliest(*assemble(judged, some), own, some.y) >= _SPEAKS
    low_rank = min(_LOW_RANK, max(1, _AXES // n))

    def of_all_rows(index: int) -> Spectrum | None:
        entry, of_some = entries[index], judged[index]
        if of_some is not None and len(of_some.values) <= low_rank:
            found = decompose(entry, data, low_rank)
            if found is not None:
                return found
        if not speaks[index]:
            return None
        if entry.own and n <= _OWN_ROWS:
            source = KernelSource(entry.kernel, data.X, data.X_eval)
            return spectrum(source, entry.centred, float(alphas.min()), n, n)
        return truncated_spectrum(
            KernelSource(entry.kernel, data.X, data.X_eval), entry.centred, low_rank
        )

    found = list(mapping(of_all_rows, range(len(entries))))
    likely = iter(_likeliest(*assemble(found, data), own, data.y) >= _UNLIKELY)
    found = [one if one and next(likely) else None for one in found]
    return *assemble(found, data), JUDGED_ROWS


def _half_decades_of_constants(n: int) -> float:
    """How many penalties of a kernel one constant stands for: those above the default ones, up to 100 n.

    Curves of that last prior vary by a tenth of the standard error of a mean of all rows.
    """
    return max(0.0, 2.0 * np.log10(100.0 * n / DEFAULT_ALPHAS[-1]))


def _gentle_ones(candidates: Candidates, data: Data) -> Candidates:
    """For inputs of a few levels: the candidates that shrink no contrast between levels.

    A level of very few rows can be kept as it is by loud priors alone. Then of each kernel the gentlest
    penalty is taken whose prior is moderate; if possible, of kernels that keep the means of the levels of
    many rows.
    """
    alphas, spectra, y = candidates.alphas, candidates.spectra, data.y
    n_levels = len(different_rows(data.X)[0])
    whole = np.array([len(one.values) == n_levels - one.centred for one in spectra])
    moderate = [candidates.project(i, y).moderate.all(axis=1) for i in range(len(spectra))]
    allowed = (candidates.prior > 0.0) & whole[:, None] & moderate
    kept = allowed & [gentle(alphas, one.values) for one in spectra]
    if not kept.any():
        kept = allowed & (np.cumsum(allowed, axis=1) == 1)
        means = kept & [keeps_means(one.leverage, data.X) for one in candidates.tables]
        kept = means if means.any() else kept
    if not kept.any():
        return candidates
    return Candidates(spectra, alphas, kept.astype(float), candidates.tables)


def _likeliest(
    candidates: Candidates, entries: list[Entry], own: ChosenBy, y: np.ndarray
) -> np.ndarray:
    """How likely each kernel is, by the likeliest one, for the target that likes it best.

    Of a kernel that the estimator chooses from: among all by likelihood, or among those by the
    estimator's own criterion, whichever is larger.
    # shape: (n_spectra,)
    """
    projected = [candidates.project(i, y) for i in range(len(candidates.spectra))]
    # The constant is no kernel, and not among them.
    found = _by_the_largest(candidates.posterior(projected, 0.0)[: len(entries)])
    allowed = _chosen_from(candidates, entries, own)
    if allowed.any():
        fit = ChosenFit(candidates, allowed, own.criterion, True)
        criteria = np.stack([part.criterion for part in projected])
        if own.criterion == "loo":  # n · log(variance) takes the place of the likelihood
            criteria = len(y) * np.log(fit.leave_one_out(y, projected))
        inside = np.where(allowed[:, :, None], criteria, np.inf)
        weights = np.exp(0.5 * (inside.min(axis=(0, 1)) - inside))
        found = np.maximum(found, _by_the_largest(weights[: len(entries)]))
    return found


def _chosen_from(candidates: Candidates, entries: list[Entry], own: ChosenBy) -> np.ndarray:
    """Which candidates the estimator chooses from.  # shape: (n_spectra, n_alphas)"""
    allowed = np.zeros(candidates.prior.shape, bool)
    for index, entry in enumerate(entries):
        if entry.own:
            allowed[index] = own.alphas
    return allowed


def _by_the_largest(weights: np.ndarray) -> np.ndarray:
    """Of weights of kernels, penalties and targets.  # shape: (n_spectra,)"""
    of_kernels = weights.sum(axis=1)
    return (of_kernels / of_kernels.max(axis=0)).max(axis=1)


def own_spectrum(source: KernelSource, centred: bool, smallest_alpha: float) -> Spectrum:
    """The spectrum of an estimator's own kernel, as exact as its penalty needs it.

    Raises
    ------
    ValueError
        If the rank is high and there are too many rows.
    """
    if source.is_precomputed or not source.is_positive_semidefinite or smallest_alpha <= 0.0:
        cross = source.cross()
        return from_matrix(np.array(source.gram()), cross, np.zeros(len(cross)), centred)
    found = None
    if source.n <= _OWN_ROWS or _rank_is_low(source, centred, smallest_alpha):
        rank = min(_OWN_RANK, max(_LOW_RANK, _OWN_AXES // source.n))
        found = spectrum(source, centred, smallest_alpha, rank, _OWN_ROWS)
    if found is None:
        raise ValueError(
            f"X has {source.n:,} rows and the kernel is too rough for so many, its rank is high: this "
            f"band takes at most {_OWN_ROWS:,} rows, or a wider or smoother kernel"
        )
    return found


def _rank_is_low(source: KernelSource, centred: bool, smallest_alpha: float) -> bool:
    """Whether a part of the rows has far fewer directions than rows, so that all rows may have few."""
    some = source.part(np.arange(0, source.n, -(-source.n // JUDGED_ROWS)))
    found = spectrum(some, centred, smallest_alpha, JUDGED_ROWS // 2, 0)
    return found is not None


def own_smoothers(one: Spectrum, alpha: np.ndarray) -> np.ndarray:
    """The matrices that make curves of responses.  # shape: (n_targets, m, n)"""
    out = np.empty((len(alpha), len(one.rows), len(one.axes)))
    for penalty in np.unique(alpha):
        matrix = (one.rows * (one.values / (one.values + penalty))) @ one.axes.T
        if one.centred:
            matrix += 1.0 / len(one.axes)
        out[alpha == penalty] = matrix
    return out
