"""Label sets in the formats of other programs."""
