"""`make run`: sentences to a mock robot, and a picture of what it did."""
