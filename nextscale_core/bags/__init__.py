"""rosbag2 recordings (mcap and sqlite3), read and written without a ROS installation."""

from __future__ import annotations

from nextscale_core.bags.reading import Bag as Bag
from nextscale_core.bags.reading import Message as Message
from nextscale_core.bags.reading import Topic as Topic
from nextscale_core.bags.writing import BagWriter as BagWriter
