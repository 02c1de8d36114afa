"""Utilities without knowledge of films or learning."""
