"""ROS parameters: their schema, validation and values."""
