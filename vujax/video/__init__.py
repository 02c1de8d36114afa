"""Video files: probing, decoding, seeking, audio, timecodes and shots.

film = vujax.video.probe_film("film.mp4")
detector = vujax.video.open_detector("transnetv2")
"""

from vujax.utils.registry import lazy_names

_NAMES = {
    "Clock": "vujax.video.timecode:Clock",
    "FrameReader": "vujax.video.decode:FrameReader",
    "open_detector": "vujax.video.shots:open_detector",
    "probe_film": "vujax.video.probe:probe_film",
    "read_shot_list": "vujax.video.shots.shot_lists:read_shot_list",
}
__all__ = list(_NAMES)
__getattr__ = lazy_names(__name__, _NAMES)
