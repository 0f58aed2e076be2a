"""Prior Extraction: what speech alone tells of the frame's expression, and how sure that is."""
