"""Data: everything between a file and a batch."""
