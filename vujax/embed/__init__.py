"""Embed: from a catalogue's pictures to vectors of its keyframes and shots.

`film.Embed` is the stage: a film of the catalogue in, its vectors out, decoding beside the network.
`run.embed` lets workers do it for all films. `encoders` has the networks.
"""
