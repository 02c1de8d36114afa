"""Tokenizers: CLIP's byte-pair encoding, Hugging Face files, and plain words."""
