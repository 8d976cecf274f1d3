"""Quality over the steps, from the scores of pictures: a curve, and curves that the scores leave possible.

A score is the quality at its step, plus the effect of its picture (the same prompt and seed at every step), plus
noise. Quality is a level plus a random curve (Matern 3/2): how far it swings and over how many steps is not known,
and neither is how alike the noise of a picture is from one step to the next. Each choice of the three on a grid is
weighed by how likely it makes the scores (restricted likelihood), no swing at all among them, so that the amount of
smoothing is the scores' own. Curves do not reach over a break: an explosion between two steps says that they share
nothing but the level.

Possible curves come from a bootstrap: a curve and residuals drawn anew are smoothed the way the scores were, and what
the smoothing then misses is what it may have missed. That has the bias of smoothing in it, and it works with one
picture a step, where the neighbours alone tell what is noise.

Source: G. Wahba, Bayesian "confidence intervals" for the cross-validated smoothing spline (1983), for why the bias
belongs in; P. J. Huber, Robust Statistics (1981), for pseudo-values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SWINGS: Final = np.array([0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0])
"""Variance of the curve over that of a score's noise."""
FLAT_ODDS: Final = 0.2
"""Prior weight of no swing at all; the rest is even."""
REACHES: Final = 6
"""So many are tried, from one and a half distances between steps to twice the run."""
LIKENESSES: Final = {0.0: 0.7, 0.4: 0.1, 0.7: 0.1, 0.85: 0.1}
"""Correlation of a picture's noise at two steps that are the usual distance apart, with its prior weight."""
CLIP: Final = 2.0
"""A score further from the curve than this many standard deviations counts as if it were this far."""
PRIOR_SD: Final = 6.0
"""Of the noise of a score, in points, if there were no scores."""
PRIOR_SCORES: Final = 1.0
"""As many scores that is worth."""
SPREAD_SCORES: Final = 6.0
"""As many scores the noise of the whole run is worth where the noise of a step is told."""
SPREAD_STEPS: Final = 2.0
"""So many places away a step's noise is still much like this one's."""
ROUNDS: Final = 3
"""Of fitting, with what is noise told anew after each."""
NOTHING: Final = 1e-6
"""What is smaller is no noise but rounding."""
NORMAL: Final = np.array([-1.645, -1.036, -0.674, -0.385, -0.126, 0.126, 0.385, 0.674, 1.036, 1.645]) / 0.8795
"""What residuals look like if there are none: ten quantiles of the normal distribution, at variance 1."""
DRAWS: Final = 2000
"""Possible curves."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A smoothed run.

    Attributes:
        curve: Quality at each step, in the mean of all pictures.
        draws: Possible curves, one a row.
        effects: Of each picture, with a mean of 0.
        levels: Mean of each step's own scores with the effects taken out.
        errors: Standard deviation of that mean from noise.
    """

    curve: Floats
    draws: Floats
    effects: Floats
    levels: Floats
    errors: Floats


@dataclass(frozen=True, slots=True)
class _Setting:
    """What does not change from round to round.

    Attributes:
        scores: A row a step, a column a picture; 0 where one is missing.
        known: 1 where a score is there, else 0.
        reaches: Roots of the correlation of quality between steps, one for each reach.
        likenesses: Roots of the correlation of a picture's noise, one for each likeness.
        inverses: Of that correlation among the steps that a picture has; likeness, picture, step, step.
        volumes: Logarithm of its determinant, over all pictures.
    """

    scores: Floats
    known: Floats
    reaches: Floats
    likenesses: Floats
    inverses: Floats
    volumes: Floats


@dataclass(frozen=True, slots=True)
class _Told:
    """What scores tell of each step with the effects of pictures taken out, for one likeness.

    Attributes:
        weights: Of the scores of each picture: picture, step, step.
        sums: Their sums over steps, a row a picture.
        cleared: Takes from sums of pictures what their effects explain.
        information: On the curve.
        volume: Logarithm of the determinant of the information on effects.
    """

    weights: Floats
    sums: Floats
    cleared: Floats
    information: Floats
    volume: float

    def of(self, values: Floats) -> Floats:
        """Of each step from ``values``, whose last two axes are step and picture."""
        by_step = np.einsum("kcd,...dk->...c", self.weights, values, optimize=True)
        return np.asarray(by_step - self.explained(values) @ self.sums)

    def explained(self, values: Floats) -> Floats:
        """Effects of pictures in ``values``, with a mean of 0."""
        return np.asarray(np.einsum("kc,...ck->...k", self.sums, values, optimize=True) @ self.cleared)

    def rest(self, values: Floats) -> float:
        """Weighted squares of ``values`` that effects do not explain."""
        inner = np.einsum("ck,kcd,dk->", values, self.weights, values, optimize=True)
        totals = np.einsum("kc,ck->k", self.sums, values)
        return float(inner - totals @ self.cleared @ totals)


@dataclass(frozen=True, slots=True)
class _Model:
    """Every swing and reach with one likeness, fitted; swing and reach are the first axis.

    Attributes:
        told: From scores to steps.
        likelihood: Of each, as a logarithm.
        maps: From what is told of the steps to the curve.
        sigmas: Noise of a score where it is neither wider nor narrower than usual.
        roots: Of the covariance of the curve over the noise's variance.
    """

    told: _Told
    likelihood: Floats
    maps: Floats
    sigmas: Floats
    roots: Floats


def smoothed(scores: Floats, steps: Floats, segments: NDArray[np.intp], seed: int) -> Fit:
    """A curve through ``scores``, a row for each step and a column for each picture.

    Args:
        scores: nan where a picture is missing; every row and every column has one that is not.
        steps: Ascending.
        segments: Of each step; curves do not reach from one into another.
        seed: Of the draws.
    """
    setting = _setting(scores, steps, segments)
    values, spread = setting.scores, np.ones(len(steps))
    for _ in range(ROUNDS):
        models = _models(setting, values, spread)
        curve, effects, sigma = _mean(models, values)
        residuals = (setting.scores - curve[:, None] - effects) * setting.known
        spread, drawn, pool = _noise(residuals, setting.known, sigma * np.sqrt(spread))
        values = setting.scores - residuals + drawn
    models = _models(setting, values, spread)
    curve, effects, sigma = _mean(models, values)
    counts = setting.known.sum(axis=1)
    return Fit(
        curve=curve,
        draws=_draws(setting, models, values, spread, pool, seed),
        effects=effects,
        levels=((setting.scores - effects) * setting.known).sum(axis=1) / counts,
        errors=sigma * np.sqrt(spread / counts),
    )


def _setting(scores: Floats, steps: Floats, segments: NDArray[np.intp]) -> _Setting:
    known = ~np.isnan(scores)
    apart = np.abs(steps[:, None] - steps[None, :])
    usual = float(np.median(np.diff(steps))) if len(steps) > 1 else 1.0
    span = max(float(apart.max()), 1.0)
    ratio = np.sqrt(3) * apart / np.geomspace(min(1.5 * usual, span), 2 * span, REACHES)[:, None, None]
    together = segments[:, None] == segments[None, :]
    smooth = (1 + ratio) * np.exp(-ratio) * together
    alike = np.array(list(LIKENESSES))[:, None, None] ** (apart / usual)
    both = known.T[:, :, None] & known.T[:, None, :]
    missing = ~known.T[:, :, None] * np.eye(len(steps))
    inside = alike[:, None] * both + missing
    return _Setting(
        scores=np.where(known, scores, 0.0),
        known=known.astype(float),
        reaches=_root(smooth),
        likenesses=_root(alike),
        inverses=np.asarray(np.linalg.inv(inside) * both, np.float64),
        volumes=np.linalg.slogdet(inside)[1].sum(axis=1),
    )


def _root(correlation: Floats) -> Floats:
    return np.asarray(np.linalg.cholesky(correlation + 1e-8 * np.eye(correlation.shape[-1])), np.float64)


def _models(setting: _Setting, values: Floats, spread: Floats) -> list[_Model]:
    scale = 1 / np.sqrt(spread)
    pairs = zip(setting.inverses * scale[:, None] * scale, setting.volumes, strict=True)
    return [_model(setting, _told(weights), float(volume), values) for weights, volume in pairs]


def _told(weights: Floats) -> _Told:
    pictures = len(weights)
    contrasts = np.eye(pictures)[:, 1:] - 1 / pictures
    sums = weights.sum(axis=2)
    inner = contrasts.T @ (sums.sum(axis=1)[:, None] * contrasts)
    cleared = contrasts @ np.linalg.solve(inner, contrasts.T)
    information = weights.sum(axis=0) - sums.T @ cleared @ sums
    return _Told(weights, sums, cleared, information, float(np.linalg.slogdet(inner)[1]))


def _model(setting: _Setting, told: _Told, volume: float, values: Floats) -> _Model:
    size = len(values)
    sums = told.information.sum(axis=1)
    found, vectors = np.linalg.eigh(np.swapaxes(setting.reaches, 1, 2) @ told.information @ setting.reaches)
    found, loaded = np.maximum(found, 0)[:, None], (setting.reaches @ vectors)[:, None]
    grown = 1 + SWINGS[:, None] * found
    fitted = ((loaded * (SWINGS[:, None] / grown)[:, :, None]) @ np.swapaxes(loaded, 2, 3)).reshape(-1, size, size)
    pull = fitted @ sums
    heft = sums.sum() - pull @ sums
    level = (1 - pull) / heft[:, None]
    at_steps = told.of(values)
    means = level @ at_steps
    left = at_steps - sums * means[:, None]
    explained = (left[:, None] @ fitted @ left[:, :, None]).ravel()
    misfit = told.rest(values) - 2 * means * at_steps.sum() + means**2 * sums.sum() - explained
    total = np.maximum(misfit, 0) + PRIOR_SCORES * PRIOR_SD**2
    freedom = _freedom(setting)
    volumes = volume + told.volume + np.log(heft) + np.log(grown).sum(axis=2).ravel()
    return _Model(
        told=told,
        likelihood=-0.5 * (volumes + freedom * np.log(total)),
        maps=level[:, None] + fitted - pull[:, :, None] * level[:, None],
        sigmas=np.sqrt(total / freedom),
        roots=(np.sqrt(SWINGS)[None, :, None, None] * setting.reaches[:, None]).reshape(-1, size, size),
    )


def _freedom(setting: _Setting) -> float:
    """Scores, and what the prior is worth in scores, less the level and the effects that are fitted."""
    return float(setting.known.sum() - setting.known.shape[1] + PRIOR_SCORES)


def _weights(models: list[_Model]) -> Floats:
    """How likely each is, a row a likeness."""
    swings = np.full(len(SWINGS), (1 - FLAT_ODDS) / (len(SWINGS) - 1))
    swings[0] = FLAT_ODDS
    likelihood = np.array([model.likelihood for model in models])
    weights = np.exp(likelihood - likelihood.max()) * np.outer(list(LIKENESSES.values()), np.tile(swings, REACHES))
    return np.asarray(weights / weights.sum())


def _mean(models: list[_Model], values: Floats) -> tuple[Floats, Floats, float]:
    """Curve, effects and noise, each the mean over the models."""
    weights = _weights(models)
    pairs = list(zip(models, weights, strict=True))
    curve = sum((mine @ (model.maps @ model.told.of(values)) for model, mine in pairs), np.zeros(len(values)))
    left = values - curve[:, None]
    effects = sum((mine.sum() * model.told.explained(left) for model, mine in pairs), np.zeros(values.shape[1]))
    return curve, effects, float(np.sqrt(sum(mine @ model.sigmas**2 for model, mine in pairs)))


def _noise(residuals: Floats, known: Floats, width: Floats) -> tuple[Floats, Floats, Floats]:
    """Relative variance at each step, residuals with outliers drawn in, and the same as a pool of variance 1."""
    limit = CLIP * width[:, None]
    drawn = np.clip(residuals, -limit, limit)
    inside = float((known * (np.abs(residuals) < limit)).sum() / known.sum())
    squares, counts = (drawn**2).sum(axis=1), known.sum(axis=1)
    places = np.arange(len(residuals))
    near = np.exp(-0.5 * ((places[:, None] - places) / SPREAD_STEPS) ** 2)
    pooled = squares.sum() / counts.sum() + NOTHING**2
    local = (near @ squares + SPREAD_SCORES * pooled) / (near @ counts + SPREAD_SCORES)
    pool = (drawn / np.sqrt(local)[:, None])[known > 0]
    pool = pool - pool.mean()
    pool = pool / pool.std() if pool.std() > NOTHING else NORMAL
    return local / np.exp(np.log(local).mean()), drawn / max(inside, 0.5), pool


def _draws(
    setting: _Setting, models: list[_Model], values: Floats, spread: Floats, pool: Floats, seed: int
) -> Floats:
    """Possible curves: what is smoothed, less what smoothing misses in a run that is made up to be like it."""
    random = np.random.default_rng(seed)
    weights = _weights(models)
    counts = random.multinomial(DRAWS, weights.ravel()).reshape(weights.shape)
    freedom = _freedom(setting)
    draws = []
    for number, reach in np.argwhere(counts):
        model, count = models[number], int(counts[number, reach])
        curves = random.standard_normal((count, len(values))) @ model.roots[reach].T
        shocks = setting.likenesses[number] @ random.choice(pool, (count, *values.shape))
        told = curves @ model.told.information + model.told.of(shocks * np.sqrt(spread)[:, None] * setting.known)
        missed = told @ model.maps[reach].T - curves
        scale = model.sigmas[reach] * np.sqrt(freedom / random.chisquare(freedom, count))
        draws.append(model.maps[reach] @ model.told.of(values) - scale[:, None] * missed)
    return np.concatenate(draws)
