"""Search backends: exact, faiss and lance."""
