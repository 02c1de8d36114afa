"""Search: texts, images and items of a catalog to its frames, shots and scenes."""
