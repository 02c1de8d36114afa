"""Tokenizers: CLIP's byte pairs, files of published models, and a small vocabulary."""
