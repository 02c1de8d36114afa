"""Utilities that know nothing of films or learning."""
