"""Draws of candidates as their definition reads, one pair after the other."""

import numpy as np

MASK = 0xFFFFFFFF


def mix(x: int) -> int:
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & MASK
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & MASK
    return x ^ (x >> 16)


def hash_pair(seed: int, row: int, column: int) -> int:
    left, right = (mix((number + 0x9E3779B9) & MASK) for number in (row, column))
    return mix(mix(left ^ seed) ^ right) >> 2


def draw(seed: int, scene: int, permitted: np.ndarray, films, scenes) -> int:
    """Return the position of an entry: a film of the permitted ones, then one of its scenes."""
    places = np.flatnonzero(permitted).tolist()
    if not places:
        return -1
    film = min((hash_pair(seed, scene, int(films[j])), int(films[j])) for j in places)[1]
    entry = mix((seed + 1) & MASK)
    own = [j for j in places if films[j] == film]
    return min((hash_pair(entry, scene, int(scenes[j])), j) for j in own)[1]


def draw_several(seed: int, scene: int, permitted, films, scenes, count: int) -> list[int]:
    """Return different scenes, as many as there are up to `count`."""
    drawn: list[int] = []
    for slot in range(count):
        free = permitted & ~np.isin(scenes, drawn)
        turn = mix((seed + (slot + 1) * 0x9E3779B9) & MASK)
        place = draw(turn, scene, free, films, scenes)
        drawn += [int(scenes[place])] if place >= 0 else []
    return drawn
