"""Train the network that tells fat, fascia and muscle apart, on synthetic heels.

    pip install -c constraints.txt ".[train]"
    python -m benchmarks.train_tissues --heels 1000 --steps 5000 --out tissues.npz
    python -m benchmarks.train_tissues --start old.npz --steps 2000 --out tissues.npz

The heels are those of :mod:`benchmarks.tissue_examples`; their strips are kept in ``--folder`` and
used again. Prints the loss on the training heels, as distorted, and on heels left out, as they are.
The network in the package comes of three such runs, each begun from the weights of the last: 1,700,
1,600 and 1,700 steps on 1,034 heels.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.tissue_examples import FIRST_SEED, cut, example
from usguide.fascia.tissues import DILATIONS, STRIDE

CHANNELS, TISSUES = 16, 3
BATCH = 8
RATE = 3e-3
HELD_OUT = 48
REPORTED = 100


def drawn(key: Any) -> list[tuple[Any, Any]]:
    """Draw the first weights."""
    shapes = [(7, 5, 2, CHANNELS), *[(3, 3, CHANNELS, CHANNELS)] * len(DILATIONS)]
    layers = []
    for at, shape in enumerate(shapes):
        key, now = jax.random.split(key)
        spread = np.sqrt(2.0 / np.prod(shape[:3])) * (0.7 if at else 1.0)
        layers.append((spread * jax.random.normal(now, shape), jnp.zeros(CHANNELS)))
    layers.append((0.1 * jax.random.normal(key, (CHANNELS, TISSUES)), jnp.zeros(TISSUES)))
    return layers


def answers(layers: list[tuple[Any, Any]], pictures: Any) -> Any:
    """Return the logits of :func:`usguide.fascia.tissues.log_probabilities`, differentiably."""
    form = ("NHWC", "HWIO", "NHWC")
    (weights, bias), *middle, last = layers
    hidden = jax.nn.relu(
        jax.lax.conv_general_dilated(pictures, weights, (STRIDE, 1), "SAME", dimension_numbers=form)
        + bias
    )
    for (weights, bias), dilation in zip(middle, DILATIONS, strict=True):
        hidden = hidden + jax.nn.relu(
            jax.lax.conv_general_dilated(
                hidden, weights, (1, 1), "SAME", rhs_dilation=dilation, dimension_numbers=form
            )
            + bias
        )
    return jnp.repeat(hidden @ last[0] + last[1], STRIDE, axis=1)


def loss(layers: Any, pictures: Any, tissue: Any, weight: Any) -> Any:
    """Mean cross-entropy."""
    likely = jax.nn.log_softmax(answers(layers, pictures))
    right = jnp.take_along_axis(likely, tissue[..., None], -1)[..., 0]
    return -(right * weight).sum() / weight.sum()


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
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--folder", type=Path, default=Path("build/tissues"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    seeds = range(FIRST_SEED, FIRST_SEED + given.heels + HELD_OUT)
    heels = [one for seed in seeds if (one := example(seed, given.folder)) is not None]
    left_out, heels = heels[:HELD_OUT], heels[HELD_OUT:]
    rng = np.random.default_rng(given.seed)
    layers = stored(given.start) if given.start else drawn(jax.random.PRNGKey(given.seed))
    rate = optax.cosine_decay_schedule(RATE, given.steps)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
    state = optimiser.init(layers)

    @jax.jit
    def step(layers: Any, state: Any, *batch: Any) -> tuple[Any, Any, Any]:
        value, slope = jax.value_and_grad(loss)(layers, *batch)
        change, state = optimiser.update(slope, state, layers)
        return optax.apply_updates(layers, change), state, value

    measured = jax.jit(loss)
    judged = [cut(one, None) for one in left_out]
    values = []
    for number in range(1, given.steps + 1):
        chosen = [cut(heels[at], rng) for at in rng.integers(0, len(heels), BATCH)]
        layers, state, value = step(layers, state, *map(np.stack, zip(*chosen, strict=True)))
        values.append(float(value))
        if number % REPORTED == 0 or number == given.steps:
            parts = [
                float(measured(layers, *map(np.stack, zip(*judged[at : at + BATCH], strict=True))))
                for at in range(0, len(judged), BATCH)
            ]
            print(
                f"step {number}: loss {np.mean(values[-REPORTED:]):.3f}, "
                f"on heels left out {np.mean(parts):.3f}",
                flush=True,
            )
            np.savez_compressed(
                given.out,
                **{f"weights_{at}": np.asarray(w, np.float16) for at, (w, _) in enumerate(layers)},
                **{f"bias_{at}": np.asarray(b, np.float16) for at, (_, b) in enumerate(layers)},
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
