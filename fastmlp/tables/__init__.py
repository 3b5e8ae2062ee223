"""Tables in files: reading, types of columns, and encoding in pieces that fit in memory."""
