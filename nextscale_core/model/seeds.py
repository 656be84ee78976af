"""Seeds of motions."""

from __future__ import annotations

import numpy as np

from nextscale_core.exceptions import ConfigError

_MAX_SEED = 2**63 - 1


def check_seed(seed: int) -> int:
    """The seed as a whole number.

    Raises:
        ConfigError: no whole number, or out of range.
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed <= _MAX_SEED:
        raise ConfigError(f"seed must be a whole number from 0 to 2^63 - 1, got {seed!r}")
    return int(seed)
