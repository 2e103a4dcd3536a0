"""The patch bank: a detector by distance to the nearest good patch (PatchCore), and its learner."""
