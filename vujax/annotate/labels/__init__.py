"""Human labels of the frames, shots, scenes and films of a catalog.

A label set is an append-only log, `labels/<set>.jsonl` in the catalog: every decision and every
undo is a line of its own, in order, and no line is ever rewritten.

    log = LabelLog(sets.label_set_path("catalog/", "boats"))
    group = log.append([Decision("my-film-1a2b3c4d/s0012", "boat", 1)], author="ann")
    log.undo(group, author="ann")
    log.state()                           # the entry in force, by (id, label)
"""
