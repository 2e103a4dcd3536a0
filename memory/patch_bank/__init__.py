"""The patch bank: good patches searched for the nearest one (PatchCore), its learning and its un-learning."""
