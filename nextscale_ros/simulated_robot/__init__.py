"""A simulated robot: physics and a balancing controller behind the topics of a robot."""
