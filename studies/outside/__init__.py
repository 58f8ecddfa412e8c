"""Files that somebody else sends: damaged, altered, or made to do harm."""
