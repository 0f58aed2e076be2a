"""Reference route: the nets whose outputs the published priors are, filled from their authors' own files."""
