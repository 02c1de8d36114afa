"""Search: text and pictures to frames, shots and scenes of a catalogue."""
