"""Prompt templates of zero-shot classification; `{}` is the class name.

The wordings are short lists written for this package. Scores depend on them, so an evaluation
states the set that it used (`templates='photo'`), and a config may give its own list.
"""

from collections.abc import Sequence

NAME = ("{}",)


PHOTO = (
    "a photo of a {}.",
    "a close-up photo of a {}.",
    "a blurry photo of a {}.",
    "a small {} in a photo.",
    "a large {} in a photo.",
    "a photo of many {}.",
    "a {} in its usual surroundings.",
)


TEMPLATES: dict[str, tuple[str, ...]] = {
    "name": NAME,
    "photo": PHOTO,
    # Images that are not photographs: ImageNet-R's renditions, ImageNet-Sketch's drawings.
    "rendition": (
        *PHOTO,
        "a drawing of a {}.",
        "a painting of a {}.",
        "a cartoon of a {}.",
        "a sculpture of a {}.",
        "a toy {}.",
        "a {} as embroidery.",
        "graffiti of a {}.",
    ),
    "sketch": (
        "a sketch of a {}.",
        "a black and white drawing of a {}.",
        "a pencil drawing of a {}.",
        "the outline of a {}.",
        "a drawing of a {}.",
    ),
    "food": ("a photo of {}, a kind of food.", "a plate of {}.", "{} served as a meal."),
    "pet": ("a photo of a {}, a kind of pet.", "a {} at home.", "a portrait of a {}."),
    "flower": ("a photo of a {}, a kind of flower.", "a {} in bloom.", "the petals of a {}."),
    "texture": ("a {} texture.", "a {} surface.", "a {} pattern.", "something that is {}."),
    "place": ("a photo of a {}, a kind of place.", "the view of a {}.", "inside or around a {}."),
    "car": (
        "a photo of a {}, a kind of car.",
        "a {} parked on a street.",
        "the {} seen from ahead.",
    ),
    "satellite": ("a satellite photo of {}.", "an aerial view of {}.", "{} seen from above."),
    "digit": ('the number "{}".', 'a photo of the number "{}".', 'the digit "{}" in a picture.'),
    "garment": ("a photo of a {}, a piece of clothing.", "a {} on a plain background."),
    "tissue": ("a microscope image of {}.", "a stained slide of {}.", "histology: {}."),
}


def resolve_templates(chosen: str | Sequence[str]) -> tuple[str, ...]:
    """Return the templates of a set's name, or a list of templates as it is.

    Raises:
      ValueError: an unknown name, an empty list, or a template without exactly one `{}`.
    """
    if isinstance(chosen, str):
        if chosen not in TEMPLATES:
            raise ValueError(
                f"unknown templates {chosen!r}; expected one of: {', '.join(sorted(TEMPLATES))}"
            )
        return TEMPLATES[chosen]
    if not chosen:
        raise ValueError("templates is empty; give at least one, such as 'a photo of a {}.'")
    for template in chosen:
        if template.count("{}") != 1:
            raise ValueError(f"template '{template}' must contain {{}} once, for the class's name")
    return tuple(chosen)


def format_prompts(names: Sequence[str], chosen: str | Sequence[str]) -> list[str]:
    """Fill every name into every template: `[n * t]`, one name's prompts adjacent.

    Underscores in a name become spaces, so a folder's names can be used as they are.
    """
    wordings = resolve_templates(chosen)
    return [w.replace("{}", name.replace("_", " ")) for name in names for w in wordings]
