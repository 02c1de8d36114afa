"""Jobs over many films: ingest, embedding, and the workers that run them."""
