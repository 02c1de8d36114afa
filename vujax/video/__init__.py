"""Films in: what a video file is, its frames and its sound, each with its exact time."""
