"""ROS messages from and to values of the core."""
