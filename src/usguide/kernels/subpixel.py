"""Sub-pixel registration of blocks by Gauss-Newton steps on the pixels themselves.

The parabola through three correlations is drawn towards whole pixels. Here the displacement u of
a block is found that minimises the zero-mean normalised sum of squared differences

    C(u) = sum [ f / |f| - g(u) / |g(u)| ]^2,      f, g: block and target less their means,

by the inverse compositional method: gradients and the normal matrix H = sum (grad f)(grad f)^T
are those of the reference block and are worked out once (Baker and Matthews, Int J Comput Vis
2004;56:221; for speckle Pan, Li and Tong, Exp Mech 2013;53:1277). The target is interpolated
bilinearly; one displacement for all of a block makes the four weights the same in all of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel
from usguide.kernels.block_matching import padded

Image = NDArray[np.float32]
Block = NDArray[np.float32]
"""Shape (3, height, columns): a block's pixels less their mean, and their slopes along x and y."""


@kernel("UniTuple(float64, 8)(float32[:, ::1], int64, int64, int64, float32[:, :, ::1])")
def describe(reference: Image, x0: int, y0: int, width: int, block: Block) -> tuple[float, ...]:
    """Take a block out of an image, with its gradient and their sums.

    Parameters
    ----------
    reference : ndarray of float32, shape (rows, columns)
        Image.
    x0, y0 : int
        First pixel of the block, which must lie inside the image.
    width : int
        Of the block, px.
    block : Block
        Output in its first ``width`` columns.

    Returns
    -------
    tuple of float
        Sums of gx gx, gy gy, gx gy, f f, f gx, f gy, gx and gy.
    """
    rows, columns = reference.shape
    height, most = block.shape[1:]
    by_column = np.zeros(width)
    for i in range(height):
        here = reference[y0 + i, x0 : x0 + width]
        for j in range(width):
            by_column[j] += here[j]
    mean = np.float32(by_column.sum() / (height * width))
    sums = np.zeros((8, most), np.float32)
    line = np.empty(width + 2, np.float32)
    for i in range(height):
        y = y0 + i
        line[0] = reference[y, max(x0 - 1, 0)]
        for j in range(width):
            line[j + 1] = reference[y, x0 + j]
        line[width + 1] = reference[y, min(x0 + width, columns - 1)]
        above = reference[max(y - 1, 0), x0 : x0 + width]
        below = reference[min(y + 1, rows - 1), x0 : x0 + width]
        for j in range(width):
            f = line[j + 1] - mean
            gx = np.float32(0.5) * (line[j + 2] - line[j])
            gy = np.float32(0.5) * (below[j] - above[j])
            block[0, i, j] = f
            block[1, i, j] = gx
            block[2, i, j] = gy
            sums[0, j] += gx * gx
            sums[1, j] += gy * gy
            sums[2, j] += gx * gy
            sums[3, j] += f * f
            sums[4, j] += f * gx
            sums[5, j] += f * gy
            sums[6, j] += gx
            sums[7, j] += gy
    xx = yy = xy = power = own_x = own_y = all_x = all_y = 0.0
    for j in range(width):
        xx += sums[0, j]
        yy += sums[1, j]
        xy += sums[2, j]
        power += sums[3, j]
        own_x += sums[4, j]
        own_y += sums[5, j]
        all_x += sums[6, j]
        all_y += sums[7, j]
    return xx, yy, xy, power, own_x, own_y, all_x, all_y


@kernel(
    "UniTuple(float64, 5)(float32[:, ::1], float64, float64, int64, float32[:, :, ::1],"
    " float32[:, ::1])"
)
def compare(
    target: Image, x: float, y: float, width: int, block: Block, sums: Image
) -> tuple[float, ...]:
    """Hold a block against the place in a target that lies between pixels.

    Parameters
    ----------
    target : ndarray of float32, shape (rows, columns)
        Image, interpolated bilinearly: g.
    x, y : float
        First pixel of the place.
    width : int
        Of the block, px.
    block : Block
        As :func:`describe` leaves it.
    sums : ndarray of float32, shape (5, columns)
        Scratch, a sum per column.

    Returns
    -------
    tuple of float
        Sums of g, g g, g f, g gx and g gy; NaN where the place is not inside the target.
    """
    rows, columns = target.shape
    height, most = block.shape[1:]
    left = int(np.floor(x))
    top = int(np.floor(y))
    if left < 0 or top < 0 or left + width >= columns or top + height >= rows:
        return np.nan, np.nan, np.nan, np.nan, np.nan
    u = x - left
    v = y - top
    w00 = np.float32((1.0 - u) * (1.0 - v))
    w01 = np.float32(u * (1.0 - v))
    w10 = np.float32((1.0 - u) * v)
    w11 = np.float32(u * v)
    # Columns past the block are left out below.
    reach = most if left + most < columns else width
    for k in range(5):
        for j in range(reach):
            sums[k, j] = 0.0
    for i in range(height):
        for j in range(reach):
            g = (
                w00 * target[top + i, left + j]
                + w01 * target[top + i, left + j + 1]
                + w10 * target[top + i + 1, left + j]
                + w11 * target[top + i + 1, left + j + 1]
            )
            sums[0, j] += g
            sums[1, j] += g * g
            sums[2, j] += g * block[0, i, j]
            sums[3, j] += g * block[1, i, j]
            sums[4, j] += g * block[2, i, j]
    total = squares = cross = by_x = by_y = 0.0
    for j in range(width):
        total += sums[0, j]
        squares += sums[1, j]
        cross += sums[2, j]
        by_x += sums[3, j]
        by_y += sums[4, j]
    return total, squares, cross, by_x, by_y


@kernel(
    "void(float32[:, ::1], float32[:, ::1], int64[:, ::1], int64, int64, int64, float64,"
    " float32[:, ::1])"
)
def refine_blocks(
    reference: Image,
    target: Image,
    corners: NDArray[np.int64],
    width: int,
    height: int,
    rounds: int,
    leash: float,
    found: Image,
) -> None:
    """Move blocks that were matched to about a pixel to where they fit best.

    Parameters
    ----------
    reference, target : ndarray of float32, shape (rows, columns)
        Images of one size.
    corners : ndarray of int64, shape (n, 2)
        (x, y) of the first pixel of each block; the block must lie inside the reference.
    width, height : int
        Size of a block, px.
    rounds : int
        Gauss-Newton steps.
    leash : float
        A block that moves further than this from where it was found, px, or out of the target,
        is left there.
    found : ndarray of float32, shape (n, 4), in and out
        As :func:`usguide.kernels.block_matching.match_blocks` leaves it; displacement and
        correlation are replaced.
    """
    size = float(height * width)
    block = np.zeros((3, height, padded(width)), np.float32)
    sums = np.empty((5, padded(width)), np.float32)
    for n in range(corners.shape[0]):
        if found[n, 2] <= 0.0:
            continue
        x0, y0 = corners[n]
        xx, yy, xy, power, own_x, own_y, all_x, all_y = describe(reference, x0, y0, width, block)
        determinant = xx * yy - xy * xy
        if power <= 0.0 or determinant <= 1e-6 * xx * yy:
            continue
        dx = float(found[n, 0])
        dy = float(found[n, 1])
        for step in range(rounds + 1):
            total, squares, cross, by_x, by_y = compare(
                target, x0 + dx, y0 + dy, width, block, sums
            )
            squares -= total * total / size
            if not squares > 0.0:
                break
            if step == rounds:
                found[n, 0] = dx
                found[n, 1] = dy
                found[n, 2] = cross / np.sqrt(power * squares)
                break
            gain = np.sqrt(power / squares)
            toward_x = own_x - gain * (by_x - total / size * all_x)
            toward_y = own_y - gain * (by_y - total / size * all_y)
            dx += (yy * toward_x - xy * toward_y) / determinant
            dy += (xx * toward_y - xy * toward_x) / determinant
            if abs(dx - found[n, 0]) > leash or abs(dy - found[n, 1]) > leash:
                break
