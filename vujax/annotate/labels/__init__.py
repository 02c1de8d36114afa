"""Labels that people give to the frames, shots, scenes and films of a catalog."""
