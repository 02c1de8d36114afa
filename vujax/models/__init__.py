"""Models as flax.linen modules with pure `init` and `apply`.

`build_clip(**config)` builds a CLIP model from plain values. The modules stand alone too:

    model = build_clip(image=dict(kind="vit", variant="B/32", image_size=224))
    variables = model.init(jax.random.key(0), image, tokens)
    embedding, out = model.apply(variables, image, tokens)

`stack_blocks` and `unstack_blocks` convert between the parameters of models with and without
`scan`; `vujax.models.convert` reads the weights of OpenAI's, open_clip's and Hugging Face's CLIP
and of SigLIP.
"""

from vujax.models.clip import CLIP, build_clip
from vujax.models.clip_resnet import CLIPResNet
from vujax.models.text import TextTransformer
from vujax.models.transformer import Transformer, TransformerConfig, stack_blocks, unstack_blocks
from vujax.models.vit import ViT

__all__ = [
    "CLIP",
    "CLIPResNet",
    "TextTransformer",
    "Transformer",
    "TransformerConfig",
    "ViT",
    "build_clip",
    "stack_blocks",
    "unstack_blocks",
]
