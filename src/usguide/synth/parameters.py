"""What a scene can be told, the clinical range of each parameter, and drawing them by one seed.

Every parameter is drawn from a stream of its own, keyed by the seed and its name: fixing one of
them leaves all the others as they were.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from usguide.errors import ConfigError

Value = float | int | bool | str


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random stream of one named thing under a seed."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


@dataclass(frozen=True, slots=True)
class Number:
    """A number drawn evenly from [low, high] and accepted within [least, most].

    Parameters
    ----------
    low, high : float
        Range that scenes are drawn from.
    unit : str
        Unit, for the documentation.
    about : str
        What it means, and where the range comes from.
    least, most : float, optional
        What may be asked for by hand; the drawn range where not given.
    whole : bool
        Whether it counts something.
    chance : float
        How often it is drawn from the range at all; otherwise it is 0, the thing is absent.
    seldom : (float, float), optional
        A second range, that it is drawn from now and then.
    seldom_share : float
        How often that is.
    """

    low: float
    high: float
    unit: str
    about: str
    least: float | None = None
    most: float | None = None
    whole: bool = False
    chance: float = 1.0
    seldom: tuple[float, float] | None = None
    seldom_share: float = 0.0

    def draw(self, rng: np.random.Generator) -> Value:
        """Return a value within the clinical range."""
        if self.chance < 1.0 and rng.uniform() >= self.chance:
            return 0 if self.whole else 0.0
        if self.whole:
            return int(rng.integers(int(self.low), int(self.high) + 1))
        usual = float(rng.uniform(self.low, self.high))
        if self.seldom is not None and rng.uniform() < self.seldom_share:
            return float(rng.uniform(*self.seldom))
        return usual

    def accept(self, name: str, value: object) -> Value:
        """Return ``value`` as a number within what is possible.

        Raises
        ------
        ConfigError
            If it is not a number or lies outside.
        """
        least = self.low if self.least is None else self.least
        if self.chance < 1.0:
            least = min(least, 0.0)
        most = self.high if self.most is None else self.most
        span = f"{least:g} to {most:g}" + (f" {self.unit}" if self.unit else "")
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise ConfigError(f"{name}={value} is not a number; give {span}.") from None
        if not math.isfinite(number) or not least <= number <= most:
            raise ConfigError(f"{name}={value} is not possible; give {span}.")
        if self.whole:
            if number != int(number):
                raise ConfigError(f"{name}={value} is not a whole number; give {span}.")
            return int(number)
        return number


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words; each is drawn as often as it is listed in ``drawn``."""

    options: tuple[str, ...]
    about: str
    drawn: tuple[str, ...] = ()

    def draw(self, rng: np.random.Generator) -> Value:
        """Return one of the words."""
        words = self.drawn or self.options
        return words[int(rng.integers(len(words)))]

    def accept(self, name: str, value: object) -> Value:
        """Return ``value`` if it is one of the words.

        Raises
        ------
        ConfigError
            If it is not.
        """
        if str(value) not in self.options:
            raise ConfigError(
                f"{name}={value} is not known; give one of {', '.join(self.options)}."
            )
        return str(value)


@dataclass(frozen=True, slots=True)
class Switch:
    """Yes or no; yes is drawn with the given probability."""

    probability: float
    about: str

    def draw(self, rng: np.random.Generator) -> Value:
        """Return True or False."""
        return bool(rng.uniform() < self.probability)

    def accept(self, name: str, value: object) -> Value:
        """Return ``value`` as a boolean.

        Raises
        ------
        ConfigError
            If it is neither yes nor no.
        """
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if str(value).lower() not in words:
            raise ConfigError(f"{name}={value} is neither true nor false.")
        return words[str(value).lower()]


Parameter = Number | Choice | Switch


def settle(
    scene: str, known: Mapping[str, Parameter], seed: int, fixed: Mapping[str, object]
) -> dict[str, Value]:
    """Draw every parameter that is not fixed.

    Parameters
    ----------
    scene : str
        Name of the scene, for the error.
    known : mapping of str to Parameter
        All the scene's parameters.
    seed : int
        Seed.
    fixed : mapping of str to object
        Values given by hand; text, as it comes from a command line, is converted.

    Returns
    -------
    dict
        A value for every parameter, in the order of ``known``.

    Raises
    ------
    ConfigError
        If a name is not known or a value is not possible.
    """
    for name in fixed:
        if name not in known:
            raise ConfigError(
                f"The scene {scene} has no parameter {name}; it has {', '.join(known)}."
            )
    return {
        name: parameter.accept(name, fixed[name])
        if name in fixed
        else parameter.draw(stream(seed, name))
        for name, parameter in known.items()
    }
