"""SimpleNet: a small network that tells good patches from noise around them, trained on a patch bank."""
