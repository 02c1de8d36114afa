"""Data sets of films, shots and scenes, one file each."""
