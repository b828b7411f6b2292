"""Small seeded models of each architecture, as transformers builds them and as GGUF files."""
