"""How pages look: their blocks as data, and these as HTML, LaTeX, Markdown and figures."""
