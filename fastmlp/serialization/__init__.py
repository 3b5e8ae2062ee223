"""Files: written atomically, and validated when read."""
