"""Images that did not come from the line: labelled, rendered, played, imported and exported."""
