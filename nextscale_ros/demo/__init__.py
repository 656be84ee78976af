"""`make run`: sentences to a mock or simulated robot, and a picture of what it did."""
