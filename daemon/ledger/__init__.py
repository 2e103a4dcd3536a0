"""What was judged, answered and learned: the only room with SQL."""
