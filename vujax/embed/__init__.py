"""Embed: from a catalogue to vectors of its keyframes, shots and scenes, and what is alike by them.

`encoders.open_encoder` opens a network, by name or by the folder of a trained or imported model.
`film.Embed` is the stage: a film of the catalogue in, its vectors out, decoding beside the network;
`maker` gives the network what it sees, pictures (`frame_maker`) or shots and scenes (`shot_maker`).
`run.embed` lets workers do it for all films. `similar.similar` finds what is nearest.
"""
