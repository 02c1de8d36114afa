"""Tone mapping of HDR frames (PQ and HLG) for stills in standard range.

    light  = EOTF of PQ (SMPTE ST 2084), or inverse OETF and OOTF of HLG (ITU-R BT.2100), in cd/m2
    x      = light / 203, the diffuse white of ITU-R BT.2408
    y      = x (1 + x / w^2) / (1 + x)        with w = 1000 / 203

y is the extended curve of Reinhard et al. (2002, "Photographic tone reproduction for digital
images", eq. 4), of the brightest of the three components, all of which are scaled alike, so that
hues stay. Colors of BT.2020 are converted to BT.709 and encoded for sRGB. White at 203 cd/m2
becomes 0.75, and 1000 cd/m2, our choice for the peak, becomes 1.
"""

import functools

import numpy as np

PQ, HLG = 16, 18
"""libav's numbers of the transfer functions."""
BT2020 = 9
"""libav's number of the primaries."""
WHITE_NITS, PEAK_NITS = 203.0, 1000.0
M1, M2 = 2610 / 16384, 2523 / 4096 * 128  # of ST 2084
C1, C2, C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073
HLG_GAMMA = 1.2  # at PEAK_NITS
LUMA_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)
"""From linear BT.2020 to linear BT.709 (ITU-R BT.2087)."""
LEVELS = 1 << 16


def map_to_sdr(image: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
    """Convert an HDR image to standard range.

    Args:
      image: RGB with the film's transfer function, uint16 `[h w 3]`, 65535 for full scale.
      transfer: PQ or HLG.
      primaries: libav's number; BT.2020 is converted, all others are taken for BT.709.

    Returns:
      sRGB, uint8 `[h w 3]`.
    """
    light = _linearize(image, transfer) / WHITE_NITS
    brightest = light.max(axis=-1, keepdims=True)
    limit = (PEAK_NITS / WHITE_NITS) ** 2
    color = light * ((1 + brightest / limit) / (1 + brightest))
    if primaries == BT2020:
        color = color @ TO_BT709.T
    return _encode(np.clip(color, 0, 1))


def _linearize(image: np.ndarray, transfer: int) -> np.ndarray:
    """Return light in cd/m2, float32 `[h w 3]`."""
    if transfer == PQ:
        return pq_table()[image]
    scene = hlg_table()[image]
    luma = np.maximum(scene @ LUMA_2020, 1e-6)[..., None]
    return PEAK_NITS * luma ** (HLG_GAMMA - 1) * scene


@functools.cache
def pq_table() -> np.ndarray:
    """Return the light in cd/m2 of each code value of PQ, float32 `[65536]`."""
    power = np.linspace(0, 1, LEVELS) ** (1 / M2)
    linear = (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1)
    return (10_000 * linear).astype(np.float32)


@functools.cache
def hlg_table() -> np.ndarray:
    """Return the scene light of each code value of HLG, 1 for full scale, float32 `[65536]`."""
    code = np.linspace(0, 1, LEVELS)
    high = (np.exp((code - HLG_C) / HLG_A) + HLG_B) / 12
    return np.where(code <= 0.5, code**2 / 3, high).astype(np.float32)


def _encode(linear: np.ndarray) -> np.ndarray:
    """Encode linear light in [0, 1] for sRGB (IEC 61966-2-1), uint8."""
    high = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.round(255 * np.where(linear <= 0.0031308, 12.92 * linear, high)).astype(np.uint8)
