"""What people look at: heat maps, plots and the report."""
