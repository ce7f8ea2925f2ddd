"""A proximal bundle: the last cuts of a convex function, and where they and a metric say to look next.

A cut is a value and a subgradient: ``f(x) >= level + slope @ x`` for all x. The next point minimises the upper envelope
of the cuts plus half the squared distance to the centre, in a diagonal metric, over x >= 0. Its dual is a small
quadratic programme over the simplex, solved by exact pairwise steps; the clipping at zero makes it piecewise, so the
set of clipped entries is held, the programme solved, the set updated, a few times over.

When there is no room for another cut one that carries no weight goes; if all do, the two lightest become one (their
mean by weight is a cut too), so nothing that holds the present point is lost.

The sums run in one fixed order and on one thread: the same on every machine. (A matrix library would be no faster at
this size, and its threads would fight with ours.)

References
----------
K. C. Kiwiel, Proximity control in bundle methods for convex nondifferentiable minimization, Math. Prog. 46 (1990).
"""

import numpy as np
import numpy.typing as npt
from numba import njit

Float = npt.NDArray[np.float64]

_ROUNDS = 10
"""Most updates of the set of clipped entries."""
_HALVINGS = 20
"""Of a step that went too far."""


@njit(cache=True)
def simplex_qp(h: Float, gradient: Float, alpha: Float, steps: int) -> None:
    """Maximise a concave quadratic over the simplex from `alpha` by exact pairwise steps (SMO).

    `h` is the negated Hessian, `gradient` the gradient at `alpha`; both `gradient` and `alpha` are changed in place.
    """
    n = alpha.shape[0]
    for _ in range(steps):
        up = 0
        for i in range(1, n):
            if gradient[i] > gradient[up]:
                up = i
        down = -1
        for i in range(n):
            if alpha[i] > 0.0 and (down < 0 or gradient[i] < gradient[down]):
                down = i
        slope = gradient[up] - gradient[down]
        if slope <= 1e-12 * (1.0 + abs(gradient[up])):
            break
        curve = h[up, up] + h[down, down] - 2.0 * h[up, down]
        step = alpha[down] if curve <= 0.0 else min(alpha[down], slope / curve)
        alpha[up] += step
        alpha[down] -= step
        if alpha[down] < 1e-15:
            alpha[down] = 0.0
        for i in range(n):
            gradient[i] -= step * (h[i, up] - h[i, down])


@njit(cache=True)
def _mixed(slopes: Float, alpha: Float, n: int, q: int) -> float:
    out = 0.0
    for i in range(n):
        out += alpha[i] * slopes[q, i]
    return out


@njit(cache=True)
def _rise(
    slopes: Float, levels: Float, alpha: Float, way: Float, n: int, centre: Float, scale: Float, weight: float
) -> float:
    """Return how fast the dual of a step rises at `alpha` in the direction `way`."""
    out = 0.0
    for i in range(n):
        out += way[i] * levels[i]
    for q in range(centre.shape[0]):
        x = centre[q] - weight * scale[q] * _mixed(slopes, alpha, n, q)
        if x > 0.0:
            out += _mixed(slopes, way, n, q) * x
    return out


@njit(cache=True)
def _proximal_step(
    slopes: Float, levels: Float, alpha: Float, n: int, centre: Float, scale: Float, weight: float, x: Float
) -> float:
    """Write the next point into `x` and the weights into `alpha`; return the model's value there."""
    size = centre.shape[0]
    moving = np.zeros(size, dtype=np.bool_)
    h = np.zeros((n, n))
    base = levels[:n].copy()
    row = np.zeros(n)
    for _ in range(_ROUNDS):
        flips = 0
        for q in range(size):
            moves = centre[q] - weight * scale[q] * _mixed(slopes, alpha, n, q) > 0.0
            if moves == moving[q]:
                continue
            flips += 1
            moving[q] = moves
            sign = 1.0 if moves else -1.0
            metric = sign * weight * scale[q]
            for i in range(n):
                row[i] = slopes[q, i]
                base[i] += sign * centre[q] * row[i]
            for i in range(n):
                s = metric * row[i]
                for j in range(n):
                    h[i, j] += s * row[j]
        if flips == 0:
            break
        before = alpha[:n].copy()
        gradient = base.copy()
        for i in range(n):
            for j in range(n):
                gradient[i] -= h[i, j] * alpha[j]
        simplex_qp(h, gradient, alpha[:n], 40 * n)
        # With other entries clipped than were held, the programme may go too far, and back again for ever: the step is
        # then cut where the dual itself, which is concave, stops rising.
        way = alpha[:n] - before
        if _rise(slopes, levels, alpha, way, n, centre, scale, weight) < 0.0:
            low, high = 0.0, 1.0
            for _ in range(_HALVINGS):
                middle = 0.5 * (low + high)
                alpha[:n] = before + middle * way
                if _rise(slopes, levels, alpha, way, n, centre, scale, weight) > 0.0:
                    low = middle
                else:
                    high = middle
            alpha[:n] = before + low * way
    model = levels[:n].copy()
    for q in range(size):
        x[q] = max(0.0, centre[q] - weight * scale[q] * _mixed(slopes, alpha, n, q))
        if x[q] > 0.0:
            for i in range(n):
                model[i] += slopes[q, i] * x[q]
    return model.max()  # type: ignore[no-any-return]


class Bundle:
    """The cuts that are kept."""

    def __init__(self, size: int, cuts: int) -> None:
        self._slopes = np.zeros((size, cuts))
        self._levels = np.zeros(cuts)
        self._alpha = np.zeros(cuts)
        self._count = 0

    def add(self, slope: Float, level: float) -> None:
        """Take a cut; the first one carries all weight."""
        if self._count == self._levels.size:
            self._make_room()
        n = self._count
        self._slopes[:, n], self._levels[n], self._alpha[n] = slope, level, float(n == 0)
        self._count += 1

    def _make_room(self) -> None:
        one, other = np.argsort(self._alpha, kind="stable")[:2]
        weight = self._alpha[one] + self._alpha[other]
        if self._alpha[one] > 0.0:
            share = self._alpha[one] / weight
            self._slopes[:, other] += share * (self._slopes[:, one] - self._slopes[:, other])
            self._levels[other] += share * (self._levels[one] - self._levels[other])
            self._alpha[other] = weight
        last = self._count - 1
        if one != last:
            self._slopes[:, one] = self._slopes[:, last]
            self._levels[one], self._alpha[one] = self._levels[last], self._alpha[last]
        self._count = last

    def lift(self, by: float) -> None:
        """Move all cuts up."""
        self._levels[: self._count] += by

    def step(self, centre: Float, scale: Float, weight: float) -> tuple[Float, float]:
        """Return the next point >= 0 and what the cuts promise there, a lower bound of the function near by."""
        x = np.empty_like(centre)
        model = _proximal_step(self._slopes, self._levels, self._alpha, self._count, centre, scale, weight, x)
        return x, float(model)
