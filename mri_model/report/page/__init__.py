"""The report page of a model, and of two models side by side: one HTML file each that needs nothing else."""
