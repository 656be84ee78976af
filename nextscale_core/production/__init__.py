"""Motion in bulk: sentences and captures to files of robot motion, on many cores or machines."""

from nextscale_core.production.produce import Production, produce
from nextscale_core.production.spec import ProductionSpec, read_spec

__all__ = ["Production", "ProductionSpec", "produce", "read_spec"]
