"""Models as flax.linen modules with pure `init` and `apply`.

`build_clip(**config)` builds a CLIP model from plain values. The modules stand alone too:

    model = build_clip(image=dict(kind="vit", variant="B/32", image_size=224))
    variables = model.init(jax.random.key(0), image, tokens)
    embedding, out = model.apply(variables, image, tokens)

`stack_blocks` and `unstack_blocks` convert between the parameters of models with and without
`scan`; `vujax.models.convert` reads the weights of OpenAI's, open_clip's and Hugging Face's CLIP
and of SigLIP.
"""

from vujax.utils.registry import lazy_names

_NAMES = {  # loaded at first use: workers that only tokenize need no JAX
    "CLIP": "vujax.models.clip:CLIP",
    "CLIPResNet": "vujax.models.clip_resnet:CLIPResNet",
    "TextTransformer": "vujax.models.text:TextTransformer",
    "Transformer": "vujax.models.transformer:Transformer",
    "TransformerConfig": "vujax.models.transformer:TransformerConfig",
    "ViT": "vujax.models.vit:ViT",
    "build_clip": "vujax.models.clip:build_clip",
    "stack_blocks": "vujax.models.transformer:stack_blocks",
    "unstack_blocks": "vujax.models.transformer:unstack_blocks",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
