"""Taggers: linear classifiers on the embeddings of a catalog, trained on human labels.

    labels = resolve_labels(catalog, "shot", read_labels(Path("labels.csv")))
    tagger, report = train_tagger(catalog, labels, encoder="lite", mesh=mesh)
    save_tagger(Path("tagger/"), tagger, report)
    apply_tagger(load_tagger(Path("tagger/")), catalog, Path("tags.parquet"))

`vujax tag` does the same. Each tag has its own logistic classifier; thresholds and reported metrics
come from held-out films.
"""
