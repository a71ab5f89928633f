"""All that a person sees: the command line, the pages and the figures. Nothing imports it."""
