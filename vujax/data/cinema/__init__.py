"""A procedural cinema."""

from vujax.data.cinema.source import CinemaSource as CinemaSource
