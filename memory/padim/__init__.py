"""PaDiM: a Gaussian of patch features for each place of the image."""
