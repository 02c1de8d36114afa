"""Labels that people give to the frames, shots, scenes and films of a catalogue.

    log = LabelLog(sets.path("catalog/", "boats"))
    group = log.append([Decision("my-film-1a2b3c4d/s0012", "boat", 1)], author="ann")
    log.undo(group, author="ann")
    log.state()                           # what holds now, by (id, label)

    labels/<set>.jsonl                    in the catalogue: every decision and every undo, in order

A set is never rewritten: what somebody decided is a line, and so is taking it back.
"""
