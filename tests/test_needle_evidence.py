"""What is read off the lines of a whole clip at once."""

import numpy as np

from usguide.needle.evidence import mean_along


def test_mean_along_takes_the_lines_of_a_long_clip() -> None:
    rng = np.random.default_rng(5)
    image = np.add.outer(2.0 * np.arange(60), 3.0 * np.arange(80)).astype(np.float32)
    count = 40_000  # more than one OpenCV call can take
    origin = rng.uniform(20, 40, (count, 2))
    angle = rng.uniform(0, 2 * np.pi, count)
    along = np.column_stack([np.cos(angle), np.sin(angle)])

    means = mean_along(image, origin, along, (0.0, 10.0))

    middle = origin + 4.5 * along  # of the samples at 0, 1 ... 9 px, on a plane
    np.testing.assert_allclose(means, 3 * middle[:, 0] + 2 * middle[:, 1], atol=0.2)
