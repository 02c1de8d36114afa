"""Search: text, images and examples to frames, shots and scenes of a catalog."""
