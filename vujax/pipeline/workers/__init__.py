"""Workers that run a stage over many films: local processes or Ray actors."""
