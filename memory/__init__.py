"""What normal looks like: features, the bank, its versions and their store."""
