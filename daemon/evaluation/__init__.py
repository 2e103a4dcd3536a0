"""Evaluation: detectors judged on labelled data sets by the field's figures."""
