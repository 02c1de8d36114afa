"""Synthetic films: small procedural films with ground truth at every level.

A film (`world`) has a genre, a palette, a cast of four and five places; its scenes and shots
(`script`) define who does what where, at what hour, in what weather and framing; `render` draws a
shot at any time and size; `captions` describes some of its facts; `dataset_images` makes records of
it. All of it is a pure function of (seed, split, film, scene, shot, time): nothing is stored.

    source = SyntheticImages("train", label="place")
    record = source[7]            # dict(key, image uint8 [64 64 3], captions, label)
    source.truth(7).facts         # place, kind, colour, event, framing, time, weather, companion

It is hard on purpose: light and paint change from film to film and captions state only some facts,
so that neither colors nor exact pairing get far. On 1,024 validation frames, by
`python -m vujax.evals.synthetic_difficulty frames` (see there for the rows):

    recall                 chance   histogram   ceiling
    text to image, R@1       .001        .006      .402
    text to image, R@10      .010        .057      .849
    image to text, R@1       .001        .007      .570
    image to text, R@10      .010        .048      .962
    zero-shot top-1: place   .083        .318         1
                     event   .100        .164         1
                     kind    .100        .231         1
                     colour  .125        .405         1

Films are edited (`editing`: order of scenes, cuts, dissolves, fades, flashes, cards), drawn
(`screen`), given sound (`sound`) and written as MP4 (`video`), each with NAME.truth.json beside it
and one set.json for all (`ground_truth`: shots, scenes, cast, genre; synopses and co-watches).

    write_set("films/", films=20)                    # vujax.data.synthetic.video
    read_truth("films/film-0003.truth.json")         # vujax.data.synthetic.ground_truth

`vujax synthesize --out films/` does the same; with `--series` it writes the episodes of a series
(`series`: scenes that return, an opening, recaps, common credits). Truth and frames are functions
of the settings; cards are set in Pillow's own font, which may differ between its releases.

Colors must not suffice here either. By `python -m vujax.evals.synthetic_difficulty films` (see
there), on films of the validation split:

    transitions, by the distance of adjacent frames (12 films of a minute)
                number   best F1   F1 and recall at a threshold of other films
    all            257      .905           .893    .942
    cut            199      .889           .887    .970
    dissolve        45      .641           .581    .800
    fade            13      .440           .377   1

    scene boundaries, by the distance of shots (100 films of 3 minutes, 5,088 shot boundaries)
                                      AP   best F1
    random                          .128      .226
    adjacent shots                  .424      .478
    three before, three after       .783      .712

As rows of shots for training (`dataset_shots`) they are scored film by film, cards included, by the
least distance of four shots before and four after. Sound indicates scenes too, and adds to colors:
`python -m vujax.evals.synthetic_difficulty scenes` (40 films of the validation split) gives

                                macro AP
    random                          .166
    colors of three keyframes       .669
    spectra of the sound            .736
    both                            .782
"""

from vujax.data.synthetic.dataset_images import SyntheticImages as SyntheticImages
