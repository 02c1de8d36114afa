"""From shots to scenes: scores of borders, the choice among them, and what people read of it."""
