"""One module per command, and what only commands need. The command line registers them."""
