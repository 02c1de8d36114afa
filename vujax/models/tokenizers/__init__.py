"""Tokenizers: CLIP's byte pairs, files of Hugging Face's tokenizers, and a small vocabulary."""
