"""ROS 2 nodes of nextscale.

The generated message modules (`nextscale_ros.msg`) belong to this package too; in an editable
installation the build puts them into another folder than these sources.
"""

from __future__ import annotations

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
