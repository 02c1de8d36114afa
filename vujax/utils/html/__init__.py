"""Building blocks of the HTML pages."""
