"""Generation with constraints: keyframes, waypoints, and targets of hands and feet."""
