"""Intervals of many series at once: of one length or of several, with draws of their own or in common."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fastkb.bootstrap.bootstrap_result import BootstrapResult, ConfidenceInterval
from fastkb.bootstrap.checks import (
    Request,
    Samples,
    check_combination,
    check_known,
    check_memory,
    check_request,
    check_statistic,
)
from fastkb.bootstrap.distribution import (
    Estimate,
    resampled,
    resampled_members,
    resampled_one_by_one,
    warn_of_no_interval,
)
from fastkb.bootstrap.evaluate.statistics import NAMED, recognise
from fastkb.bootstrap.panel_data import Panel, check_known_values, check_panel
from fastkb.bootstrap.panel_result import PanelResult
from fastkb.checks.requests import check_rng
from fastkb.checks.scalars import check_flag, check_progress
from fastkb.random.streams import key_from_rng, keys_of_members
from fastkb.resample.index_schemes import BlockScheme
from fastkb.resample.response_schemes import ResponseScheme
from fastkb.resample.row_schemes import SingleRows
from fastkb.resample.scheme import Scheme
from fastkb.runtime.progress import ProgressLike, counted, part_of

# Results of resamples that are held at a time, and observations that are looked at: 32 MB of each.
_RESULTS = 2**22
_OBSERVATIONS = 2**22


def bootstrap_panel(
    data: Any,
    statistic: Any,
    *,
    n_resamples: int = 9999,
    batch: int | None = None,
    vectorized: bool | None = None,
    paired: bool = False,
    axis: int = 0,
    confidence_level: float = 0.95,
    alternative: str = "two-sided",
    method: str = "BCa",
    rng: Any = None,
    scheme: Any = None,
    standard_error: Any = None,
    common_draws: bool = False,
    progress: ProgressLike = False,
) -> PanelResult:
    r"""Confidence intervals of a statistic for each of many series.

    What :func:`fastkb.bootstrap` does for one series, for thousands of them: the series may differ in
    length, each has resamples of its own or all have the same, and only the intervals are kept: memory is
    O(number of series), beside 100 MB or so for the series that are at work.

    Parameters
    ----------
    data : tuple of samples
        Most often of one: ``(series,)``. A sample is an array or data frame with observations along
        `axis`, whose other axes count the series (for a data frame: each column is one); or a list of
        one-dimensional series, which may differ in length; or a mapping of names to series. For
        statistics of two samples the second has as many series as the first, or one.
    statistic : callable or str
        As :func:`fastkb.bootstrap` takes it.
    n_resamples : int, default 9999
        Of each series.
    batch, vectorized, paired : optional
        As :func:`fastkb.bootstrap` takes them.
    axis : int, default 0
        Of arrays and data frames; a list of series has none.
    confidence_level : float, default 0.95
    alternative : {"two-sided", "less", "greater"}, default "two-sided"
    method : {"percentile", "basic", "BCa", "studentized", "cheap"}, default "BCa"
    rng : None, int, numpy.random.SeedSequence or numpy.random.Generator
        A Generator is advanced by four draws.
    scheme : Scheme or sequence of Scheme, optional
        One of :mod:`fastkb.schemes` for all series, or one for each of them: labels, fitted values and
        the like are those of one series. Blocks without a length get that of
        :func:`fastkb.schemes.optimal_block_length` for each series by itself.
    standard_error : callable or str, optional
        For ``method="studentized"``, as :func:`fastkb.bootstrap` takes it.
    common_draws : bool, default False
        False: the resamples of different series are independent, and those of a series depend on its
        place in `data`, its length and the seed alone. True: every series gets what
        :func:`fastkb.bootstrap` draws for it with the same `rng`, so that series of one length have the
        same resamples, and what is common to the series stays common to their replicates.
    progress : bool or callable, default False
        True shows a bar on standard error. A function is called with what is counted, how many are
        done, and how many there will be: resamples of all series together.

    Returns
    -------
    PanelResult
        ``confidence_interval``, ``standard_error`` and ``observed``, each of the shape of the series.

    Raises
    ------
    ValueError, TypeError
        Before any work, with the argument and what was expected.

    Warns
    -----
    scipy.stats.DegenerateDataWarning
        If there is no BCa interval of a series: its ends are NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, bootstrap_panel, schemes
    >>> random = np.random.default_rng(0)
    >>> lengths = random.integers(20, 60, 100)
    >>> series = [random.normal(size=n).cumsum() for n in lengths]
    >>> scheme = schemes.MovingBlocks(5)
    >>> options = {"n_resamples": 999, "scheme": scheme, "rng": 0}
    >>> result = bootstrap_panel((series,), np.mean, **options)
    >>> result.confidence_interval.low.shape
    (100,)
    >>> common = bootstrap_panel((series,), np.mean, common_draws=True, **options)
    >>> alone = bootstrap((series[7],), np.mean, **options)
    >>> bool(common.confidence_interval.low[7] == alone.confidence_interval.low)
    True
    """
    check_progress(progress)
    check_flag("common_draws", common_draws)
    known = recognise(statistic)
    check_statistic(statistic, NAMED)
    asked = Request(
        vectorized, paired, confidence_level, alternative, n_resamples, batch, method, None
    )
    request = check_request(asked, statistic)
    source = check_rng(rng)
    panel = check_panel(data, axis, request.paired)
    check_memory(request, (), panel.series(0))
    if known is not None:
        check_known_values(known, panel)
        for lengths in {tuple(map(len, panel.series(s))) for s in range(len(panel))}:
            check_known(known, lengths, request)
    schemes = _schemes(scheme, panel, request, standard_error)
    groups = list(_groups(panel, schemes, request, common_draws))
    estimate = Estimate(statistic, known, standard_error, request)
    found = _Found(len(panel))
    with counted(progress, "resamples", len(panel) * request.n_resamples) as bar:
        draw = _drawn_alike(source) if common_draws else _drawn_apart(source)
        for group in groups:
            for members in _parts(group, request):
                samples = Samples(
                    tuple(np.stack([one[s] for s in members]) for one in panel.samples),
                    group.finite,
                )
                found.take(members, draw(estimate, samples, group.prepared, members, bar.update))
    result = found.result(panel, estimate, common_draws, groups)
    warn_of_no_interval(result.confidence_interval)
    return result


class _Group(NamedTuple):
    """Series that are evaluated together."""

    members: list[int]
    prepared: Scheme | None
    finite: bool
    observations: int  # of each, in all samples


def _schemes(
    scheme: Any, panel: Panel, request: Request, standard_error: Any
) -> list[Scheme] | Scheme | None:
    """The scheme of all series, or that of each, checked."""
    several = list(scheme) if isinstance(scheme, list | tuple) else None
    if several is not None and len(several) != len(panel):
        raise ValueError(
            f"scheme must be one for all series or one for each of the {len(panel)}, got {len(several)}"
        )
    for one in [scheme] if several is None else several:
        check_combination(request, Samples(panel.series(0), True), one, standard_error, False)
    if several is not None and any(one is None for one in several):
        raise TypeError(
            "scheme must be one of fastkb.schemes for each series, got None in the list"
        )
    return scheme if several is None else several


def _groups(
    panel: Panel, schemes: list[Scheme] | Scheme | None, request: Request, common: bool
) -> Iterator[_Group]:
    """Series whose lengths, types and schemes are the same."""
    groups: dict[tuple, _Group] = {}
    for s in range(len(panel)):
        series = panel.series(s)
        scheme = schemes[s] if isinstance(schemes, list) else schemes
        if scheme is None and not common:
            scheme = SingleRows()
        finite = all(x.dtype.kind != "f" or bool(np.isfinite(x).all()) for x in series)
        key: tuple = (finite, *[(len(x), x.dtype) for x in series])
        prepared = None
        if isinstance(schemes, list):
            key = (s,)
        elif scheme is not None and scheme.reads_values:
            prepared = scheme.prepare(series, request.paired)
            key += (prepared.length,) if isinstance(prepared, BlockScheme) else (s,)
        if key not in groups:
            if scheme is not None and prepared is None:
                prepared = scheme.prepare(series, request.paired)
            groups[key] = _Group([], prepared, finite, sum(map(len, series)))
        groups[key].members.append(s)
    yield from groups.values()


def _parts(group: _Group, request: Request) -> Iterator[list[int]]:
    """Series of a group, as many as memory is meant to hold at a time."""
    each = max(_RESULTS // max(1, request.n_resamples), 1)
    together = min(each, max(_OBSERVATIONS // group.observations, 1))
    for start in range(0, len(group.members), together):
        yield group.members[start : start + together]


_Drawer = Callable[
    [Estimate, Samples, Scheme | None, list[int], Callable[[int], Any]], BootstrapResult
]


def _drawn_alike(source: Any) -> _Drawer:
    """Resamples that are the same for all series of one length, as for a series alone."""
    if source is None:
        source = np.random.SeedSequence()
    elif isinstance(source, np.random.Generator):
        twin = copy.deepcopy(source)
        key_from_rng(source)  # it is advanced, and the next call draws others
        source = twin

    def draw(
        estimate: Estimate,
        samples: Samples,
        prepared: Scheme | None,
        members: list[int],
        advance: Callable[[int], Any],
    ) -> BootstrapResult:
        if isinstance(prepared, ResponseScheme):  # it knows a single series
            sources = (copy.deepcopy(source) for _ in members)
            return resampled_one_by_one(estimate, samples, prepared, sources, advance)
        mine = copy.deepcopy(source)
        if prepared is None:
            mine = np.random.default_rng(mine)
        count = part_of(advance, len(members))
        return resampled(estimate, samples, prepared, mine, count, alone=True)

    return draw


def _drawn_apart(source: Any) -> _Drawer:
    """Resamples of each series from a stream of its own, which its place in the panel names."""
    key = key_from_rng(source)

    def draw(
        estimate: Estimate,
        samples: Samples,
        prepared: Scheme | None,
        members: list[int],
        advance: Callable[[int], Any],
    ) -> BootstrapResult:
        assert prepared is not None
        keys = keys_of_members(key, members)
        return resampled_members(estimate, samples, prepared, keys, advance)

    return draw


class _Found:
    """The results of series, as they come."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._values: dict[str, np.ndarray] = {}

    def take(self, members: list[int], result: BootstrapResult) -> None:
        """Those of some series, which the last axis of every array counts."""
        low, high = result.confidence_interval
        parts = {"observed": result.observed, "error": result.standard_error}
        for name, part in {**parts, "low": low, "high": high}.items():
            shape = (*part.shape[:-1], self._count)
            whole = self._values.get(name)
            if whole is None:
                whole = np.empty(shape, part.dtype)
            elif whole.shape != shape:
                raise ValueError(
                    f"statistic returned shape {shape[:-1]} for series {members[0]}, and shape "
                    f"{whole.shape[:-1]} before"
                )
            elif not np.can_cast(part.dtype, whole.dtype):
                whole = whole.astype(np.result_type(part, whole))
            whole[..., members] = part
            self._values[name] = whole

    def result(
        self, panel: Panel, estimate: Estimate, common: bool, groups: list[_Group]
    ) -> PanelResult:
        shaped = {
            name: values.reshape((*values.shape[:-1], *panel.lead))[()]
            for name, values in self._values.items()
        }
        schemes: list[Scheme | None] = [None] * len(panel)
        for group in groups:
            for s in group.members:
                schemes[s] = group.prepared
        plain = schemes[0] is None or schemes[0].row_by_row
        request = estimate.request
        return PanelResult(
            confidence_interval=ConfidenceInterval(shaped["low"], shaped["high"]),
            standard_error=shaped["error"],
            observed=shaped["observed"],
            confidence_level=request.level,
            alternative=request.alternative,
            method=request.method,
            n_resamples=request.n_resamples,
            common_draws=common,
            names=panel.names,
            schemes=None if plain else tuple(schemes),
        )
