"""Labels that people give to films, tags learned from them, and the curation app."""
