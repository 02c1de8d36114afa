"""Taggers: linear classifiers on a catalogue's vectors, learned from people's labels.

    said = resolve(catalog, "shot", read_labels(Path("labels.csv")))
    tagger, report = train(catalog, said, encoder="lite", mesh=mesh)
    save(Path("tagger/"), tagger, report)
    apply(load(Path("tagger/")), catalog, Path("tags.parquet"))

`vujax tag` does the same. One logistic classifier for each tag; what they reach, and the
thresholds, come from films that they have not seen.
"""
