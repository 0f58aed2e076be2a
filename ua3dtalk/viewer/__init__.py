"""A page that shows a trained head from all sides, and lets it say what it is given."""
