#!/usr/bin/env bash
# Whether a distance of pinocchio 4.1.0 with coal 3.0.3 (wheels of PyPI) depends on queries made before.
#
# Guess before running: computeDistance is a function of the placements; its requests say
# gjk_initial_guess = DefaultGuess, so GJK begins anew each time.
# Seen: the requests that a GeometryData makes also have the older flag enable_cached_gjk_guess, on, which
# wins (a coal.DistanceRequest made by hand has it off). GJK begins with the last result, and of the
# same placements the distance has other last bits after other queries (about 1e-16 m): not much, but an
# optimiser that runs on such distances ends somewhere else. With the flag off, on each of
# `distanceRequests`, every distance is the same to the bit.
#
# Ends with status 1 where that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pin==4.1.0 coal==3.0.3
cat >"$folder/look.py" <<'PYTHON'
import sys
import warnings

import numpy as np
import pinocchio as pin
import coal

warnings.simplefilter("ignore", DeprecationWarning)
random = np.random.default_rng(0)


def hull(size):
    points = coal.StdVec_Vec3s()
    for point in random.normal(size=(60, 3)) * size:
        points.append(point)
    return coal.Convex.convexHull(points, False, "Qt")


def placement():
    turned = pin.exp3(random.normal(size=3))
    return pin.SE3ToXYZQUAT(pin.SE3(turned, 0.45 * random.normal(size=3)))


model = pin.Model()
free = model.addJoint(0, pin.JointModelFreeFlyer(), pin.SE3.Identity(), "free")
data = model.createData()
shapes = pin.GeometryModel()
for name, joint, size in (("fixed", 0, [0.1, 0.06, 0.2]), ("moving", free, [0.08, 0.08, 0.15])):
    shapes.addGeometryObject(pin.GeometryObject(name, joint, pin.SE3.Identity(), hull(size)))
shapes.addCollisionPair(pin.CollisionPair(0, 1))


def distance(placements, cached):
    """The distance at the last placement, after queries at the others."""
    geometry = pin.GeometryData(shapes)
    if cached is not None:
        geometry.distanceRequests[0].enable_cached_gjk_guess = cached
    for placed in placements:
        pin.updateGeometryPlacements(model, data, shapes, geometry, placed)
        pin.computeDistance(shapes, geometry, 0)
    return geometry.distanceResults[0].min_distance


request = pin.GeometryData(shapes).distanceRequests[0]
print("pinocchio", pin.__version__, "coal", coal.__version__)
print("gjk_initial_guess:", request.gjk_initial_guess, "; enable_cached_gjk_guess:",
      request.enable_cached_gjk_guess)
before = [[]] + [[placement()] for _ in range(30)]
varying = {None: 0, False: 0}
for last in [placement() for _ in range(40)]:
    for cached in varying:
        found = {distance([*earlier, last], cached) for earlier in before}
        varying[cached] += len(found) > 1
print(f"of 40 placements, distance depends on the query before: {varying[None]} as it comes, "
      f"{varying[False]} with the flag off")
sys.exit(not request.enable_cached_gjk_guess or varying[None] == 0 or varying[False] != 0)
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
