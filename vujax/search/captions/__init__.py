"""Captions for frames, shots and scenes, from their embeddings."""
