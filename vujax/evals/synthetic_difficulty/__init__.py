"""Difficulty of synthetic films: scores of colors, sounds and oracles."""
