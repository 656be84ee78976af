"""Recording and replaying rosbag2 files on a ROS graph."""
