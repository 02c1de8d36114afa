"""Metadata of movies: tables, similarity by channels, guides and held-out lists."""
