"""Train the network that tells fat, fascia and muscle apart, on heels and strips nobody scanned.

    pip install -c constraints.txt ".[train]"
    python -m benchmarks.train_tissues --heels 7980 --painted 6000 --steps 20000 --out tissues.npz

The heels are those of :mod:`benchmarks.tissue_examples`; their strips are kept in ``--folder`` and
used again. Half of what is shown is painted instead (:mod:`benchmarks.painted_strips`). Prints the
loss on the training examples, as distorted, and on heels left out, as they are. The network in the
package comes of ten runs, each begun from the weights of the last::

    --heels 640 --steps 900 --out 1.npz
    --heels 1470 --steps 1500 --seed 1 --start 1.npz --out 2.npz
    --heels 2470 --steps 2500 --seed 2 --start 2.npz --out 3.npz
    --heels 2470 --steps 2600 --seed 3 --start 3.npz --out 4.npz
    --heels 6710 --steps 4500 --seed 4 --start 4.npz --out 5.npz
    --heels 7750 --steps 9000 --seed 5 --start 5.npz --out 6.npz
    --heels 7980 --painted 6000 --steps 5500 --seed 6 --start 6.npz --share 0.25 --out 7.npz
    --heels 7980 --painted 9000 --steps 9000 --seed 7 --start 7.npz --out 8.npz
    --heels 7980 --painted 14000 --steps 14000 --seed 8 --start 8.npz --share 0.25 --out 9.npz
    --heels 7980 --painted 9000 --steps 9000 --seed 9 --start 9.npz --rate 1.2e-3
        --share 0.7 --of 7.npz --out tissues.npz

The first four left tears out, and nothing was drawn, sharpened or smoothed in their pictures as
calipers and scanners do; the first five trained a network without the last four layers; the seventh
painted black shadows and flat probes only; the first nine compressed nothing, and showed each
picture once. Without painted strips, the longer it was trained, the worse it was on another
simulator. Some of the weights of before keep what it knew (Wortsman et al. 2022,
doi 10.48550/arXiv.2109.01903): 0.7 of the seventh, as with 0.6 the real heel's thickness 15 mm from
the insertion, which its picture hardly shows, changed by 0.13 mm when the picture was compressed.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.painted_strips import painted
from benchmarks.tissue_examples import FIRST_SEED, RECORDINGS, TORN, cut, example
from usguide.fascia.tissues import LAYERS, STRIDE

BATCH = 8
"""Pictures at a time, over all recordings."""
RATE = 2e-3
KEPT = 0.995
"""Weights are averaged over about the last two hundred steps."""
BORDERS_WEIGHT = 0.2
"""Of a column's borders against a pixel's tissue."""
AGREEMENT_WEIGHT = 2.0
"""Of how far apart two recordings of the same picture are."""
HELD_OUT = 48
TORN_SHARE = 2.0
"""How many times as often as the others torn heels are drawn: the tissues go on across a tear."""
REPORTED = 100
ADDED_LATER = 11
"""The first of the layers that were added to a network that had learned."""

Layers = list[tuple[Any, Any]]


def drawn(key: Any) -> Layers:
    """Draw the first weights."""
    layers = []
    for shape, stride, _ in LAYERS:
        key, now = jax.random.split(key)
        # What is added to what was there before begins small, and so does the answer.
        small = shape[0] == 1 or len(layers) >= ADDED_LATER
        share = 1.0 if stride != (1, 1) else 0.2 if small else 0.5
        spread = share * np.sqrt(2.0 / np.prod(shape[:3]))
        layers.append((spread * jax.random.normal(now, shape), jnp.zeros(shape[3])))
    return layers


def convolved(values: Any, layers: Layers, at: int) -> Any:
    """Apply a layer; nothing but zeros lies beyond the picture."""
    (weights, bias), (shape, stride, dilation) = layers[at], LAYERS[at]
    beyond = [(dilation * (size // 2),) * 2 for size in shape[:2]]
    return bias + jax.lax.conv_general_dilated(
        values,
        weights,
        stride,
        beyond,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def answers(layers: Layers, pictures: Any) -> Any:
    """Return the logits of :func:`usguide.fascia.tissues.log_probabilities`, differentiably."""

    def bent(at: int, values: Any) -> Any:
        return jax.nn.relu(convolved(values, layers, at))

    def wider(values: Any) -> Any:
        return jnp.repeat(jnp.repeat(values, 2, axis=1), 2, axis=2)

    fine = bent(0, pictures)
    middle = bent(1, fine)
    middle = middle + bent(2, middle)
    coarse = bent(3, middle)
    for at in (4, 5, 6, 11, 12, 13):
        coarse = coarse + bent(at, coarse)
    middle = middle + wider(coarse)
    for at in (7, 14):
        middle = middle + bent(at, middle)
    fine = fine + wider(convolved(middle, layers, 8))
    fine = fine + bent(9, fine)
    return convolved(fine, layers, 10)


def loss(layers: Any, pictures: Any, *truth: Any) -> Any:
    """How wrong and, where pictures were recorded twice, how divided the answers are, on average.

    Divided by Jeffreys' divergence: the mean over pixels of ``sum((p - q) log(p / q))``.
    """
    likely = [jax.nn.log_softmax(answers(layers, each)) for each in jnp.moveaxis(pictures, 1, 0)]
    wrong = sum(surprise(each, *truth) for each in likely) / len(likely)
    one, other = likely[0], likely[-1]
    divided = ((jnp.exp(one) - jnp.exp(other)) * (one - other)).sum(-1).mean()
    return wrong + AGREEMENT_WEIGHT * divided


def surprise(likely: Any, tissue: Any, weight: Any, borders: Any, known: Any) -> Any:
    """Mean cross-entropy of the pixels' tissues, and of where each column's borders are."""
    each = jnp.repeat(likely, STRIDE, axis=1)
    right = jnp.take_along_axis(each, tissue[..., None], -1)[..., 0]
    pixels = -(right * weight).sum() / weight.sum()

    def summed(ratio: Any) -> Any:
        return jnp.pad(jnp.cumsum(ratio, axis=1), ((0, 0), (1, 0), (0, 0)))

    upper = summed(likely[..., 0] - likely[..., 1])
    lower = summed(likely[..., 1] - likely[..., 2])
    # All pairs of borders, the deep one at or below the superficial one.
    every = jax.nn.logsumexp(lower + jax.lax.cumlogsumexp(upper, axis=1), axis=1)
    place = jnp.clip(borders / STRIDE, 0.0, upper.shape[1] - 1.001)
    before = jnp.floor(place).astype(int)

    def at(values: Any, rows: Any) -> Any:
        return jnp.take_along_axis(values, rows[:, None], axis=1)[:, 0]

    def between(values: Any, side: int) -> Any:
        rows, part = before[:, side], place[:, side] - before[:, side]
        return (1 - part) * at(values, rows) + part * at(values, rows + 1)

    columns = every - between(upper, 0) - between(lower, 1)
    return pixels + BORDERS_WEIGHT * (columns * known).sum() / known.sum()


def stored(path: Path) -> list[tuple[Any, Any]]:
    """Read weights."""
    with np.load(path) as file:
        return [
            (jnp.asarray(file[f"weights_{at}"], float), jnp.asarray(file[f"bias_{at}"], float))
            for at in range(len(file.files) // 2)
        ]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--heels", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0, help="of everything but the heels")
    parser.add_argument("--painted", type=int, default=0, help="strips, shown as often as heels")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--rate", type=float, default=RATE, help="highest rate of learning")
    parser.add_argument("--share", type=float, default=0.0, help="of --of in what is written")
    parser.add_argument("--of", type=Path, help="weights that have a share; those of --start")
    parser.add_argument("--folder", type=Path, default=Path("build/tissues"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    seeds = range(FIRST_SEED, FIRST_SEED + given.heels + HELD_OUT)
    made = [(seed, one) for seed in seeds if (one := example(seed, given.folder)) is not None]
    left_out, heels = ([one for _, one in part] for part in (made[:HELD_OUT], made[HELD_OUT:]))
    often = np.array([TORN_SHARE if seed % TORN[0] == 1 else 1.0 for seed, _ in made[HELD_OUT:]])
    often /= often.sum()
    if given.painted:
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            heels += pool.map(painted, range(given.painted), chunksize=50)
        often = 0.5 * np.append(often, np.full(given.painted, 1.0 / given.painted))
    rng = np.random.default_rng(given.seed)
    layers = drawn(jax.random.PRNGKey(given.seed))
    if given.start:
        # Layers that it has not begin small.
        known = stored(given.start)
        layers[: len(known)] = known
    rate = optax.warmup_cosine_decay_schedule(0.0, given.rate, given.steps // 20, given.steps)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
    state = optimiser.init(layers)
    first = kept = layers
    if given.of:
        first = stored(given.of)

    @jax.jit
    def step(layers: Any, state: Any, kept: Any, *batch: Any) -> tuple[Any, Any, Any, Any]:
        value, slope = jax.value_and_grad(loss)(layers, *batch)
        change, state = optimiser.update(slope, state, layers)
        layers = optax.apply_updates(layers, change)
        return layers, state, optax.incremental_update(layers, kept, 1.0 - KEPT), value

    measured = jax.jit(loss)
    judged = [cut(one, None) for one in left_out]
    values = []
    for number in range(1, given.steps + 1):
        those = rng.choice(len(heels), BATCH // RECORDINGS, p=often)
        chosen = [cut(heels[at], rng) for at in those]
        batch = map(np.stack, zip(*chosen, strict=True))
        layers, state, kept, value = step(layers, state, kept, *batch)
        values.append(float(value))
        if number % REPORTED == 0 or number == given.steps:
            parts = [
                float(measured(kept, *map(np.stack, zip(*judged[at : at + BATCH], strict=True))))
                for at in range(0, len(judged), BATCH)
            ]
            print(
                f"step {number}: loss {np.mean(values[-REPORTED:]):.3f}, "
                f"on heels left out {np.mean(parts):.3f}",
                flush=True,
            )
            written = optax.incremental_update(first, kept, given.share)
            np.savez_compressed(
                given.out,
                **{f"weights_{at}": np.asarray(w, np.float16) for at, (w, _) in enumerate(written)},
                **{f"bias_{at}": np.asarray(b, np.float16) for at, (_, b) in enumerate(written)},
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
