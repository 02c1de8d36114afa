"""The curation page: from a query to reviewed labels, in a browser, over one catalogue.

guard      who may ask: Host, Origin, token, sizes
asks       what a request may say
pictures   keyframes by their ids, quickly
level      the frames, shots or scenes of the catalogue, in memory
probe      what is like the examples: logistic regression on frozen vectors
ranking    scores of a request: zero-shot, learned, or both
precision  how many of those above a threshold are right
desk       everything that the page can ask for, without HTTP
app        the same with HTTP
serve      the server
static/    the page: HTML, CSS and JavaScript as they are, nothing is built
"""
