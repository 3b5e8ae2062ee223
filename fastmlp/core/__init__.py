"""The compiled core: the two-phase step, where its data is stored, and how Python runs it."""
