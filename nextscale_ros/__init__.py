"""The ROS 2 side of nextscale: messages in, core calls, messages out.

The generated message modules (`nextscale_ros.msg`) are installed by the build, in another folder
than these sources when one works from a checkout. Both are parts of this one package.
"""

from __future__ import annotations

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
