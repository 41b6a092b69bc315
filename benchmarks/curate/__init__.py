"""What curation is worth: duplicates, contamination and diversity, beside the tools that people use."""
